"""What users of other programs reported of their files, each made here and given to this one.

The numbers are those of docs/faults.md, which has the link of each report.
"""

import errno
import io
import os
import shutil
import struct
import unicodedata

import numpy as np
import pytest
from PIL import Image

from hw2.errors import DataError
from hw2.input import source
from hw2.input.files import decode
from hw2.input.sources import unlabelled
from tests.input.faulty import noise, refused, tree
from tests.input.handmade import png

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
FOUR = ["a/1.png", "a/2.png", "b/1.png", "b/2.png"]


@pytest.fixture
def root(tmp_path):
    return tree(tmp_path / "data", FOUR)


def listed(folder, content, names=("x.png", "y.png")):
    """A list with these bytes, beside two pictures."""
    tree(folder, names)
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def array(folder, images, labels=(0, 1, 0, 1)):
    np.save(folder / "x.npy", images)
    np.save(folder / "x_labels.npy", np.array(labels))
    return folder / "x.npy"


COLOUR = np.random.default_rng(0).integers(0, 256, [4, 8, 8, 3], np.uint8)


# Files


@pytest.mark.fault(134)
@pytest.mark.parametrize(
    "name", ["a/3.png", "x.npy", "x.npz", "list.csv", "train-images-idx3-ubyte.gz"]
)
def test_pointers_of_git_lfs(root, name):
    path = root / name
    path.write_text(POINTER)
    given = path if path.suffix in (".npy", ".npz", ".csv") else root
    if name.startswith("train"):
        (root / "train-labels-idx1-ubyte.gz").write_text(POINTER)
    said = refused(given)
    assert str(path) in said
    assert "a pointer of Git LFS, not the" in said
    assert said.splitlines()[-1].endswith("run git lfs pull") or "run git lfs pull\n" in said


@pytest.mark.fault(134)
def test_a_pointer_in_place_of_labels(tmp_path):
    path = array(tmp_path, COLOUR)
    (tmp_path / "x_labels.npy").write_text(POINTER)
    assert refused(path) == (
        f"no data in {tmp_path}/x_labels.npy - a pointer of Git LFS, not the file itself; run git "
        "lfs pull"
    )


@pytest.mark.fault(135)
@pytest.mark.parametrize("name", ["a/3.jpg", "list.csv", "x.npy"])
def test_files_that_were_never_written(root, name):
    (root / name).write_bytes(bytes(5000))
    said = refused(root if name.endswith("jpg") else root / name)
    assert f"{root / name} - it begins with zeros, as a copy or download that was cut off" in said


@pytest.mark.fault(136)
@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"II+\0\x08\0\0\0", "BigTIFF"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"8BPS\0\1", "Photoshop"),
        (b"\xff\x4f\xff\x51", "JPEG 2000"),
        (b"\0\0\0\x18ftypheim", "HEIC"),
        (b"\0\0\0\x18ftypmp42", "MP4 (a video)"),
        (b"%PDF-1.4\n", "PDF"),
    ],
)
def test_other_files_that_are_named_like_pictures(root, start, name):
    (root / "a" / "3.jpg").write_bytes(start + bytes(50))
    assert f"3.jpg - unsupported format {name}; convert it to PNG or JPEG" in refused(root)


@pytest.mark.fault(137)
def test_what_systems_keep_on_their_disks(root):
    for name in (
        *("lost+found", "$RECYCLE.BIN", "System Volume Information", "__pycache__"),
        *("@eaDir", "#recycle", "@Recycle", "a/__MACOSX"),
    ):
        (root / name).mkdir()
    tree(root, ["a/@eaDir/1.png/SYNOPHOTO_THUMB_XL.png", "@eaDir/1.png/SYNOPHOTO_THUMB_M.png"])
    for name in ("thumbs.db", "Desktop.ini", "Icon\r", ".DS_Store", "._1.png"):
        (root / "a" / name).write_bytes(b"x")
    examples = source.read(root)
    assert list(examples.names) == FOUR
    assert (examples.class_names, examples.notes) == (("a", "b"), ())
    assert list(unlabelled.find_pictures(root, ["a", "b"]).names) == FOUR


@pytest.mark.fault(138)
@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("data.zip", "an archive; unpack it, and give the folder"),
        ("data.tar.gz", "an archive; unpack it, and give the folder"),
        ("data.h5", "a .h5 file; save its images and labels with numpy.save or numpy.savez"),
        ("data.xlsx", "a .xlsx file; save it as CSV (UTF-8), with commas"),
    ],
)
def test_files_that_hold_the_data(tmp_path, name, why):
    (tmp_path / name).write_bytes(b"PK\3\4 and so on")
    assert refused(tmp_path / name) == f"no data in {tmp_path / name} - {why}"


@pytest.mark.fault(139)
@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("gs://bucket/data", "an address (gs://); copy the data to a disk, or mount it, and give"),
        ("https://x.org/data.zip", "an address (https://); copy the data to a disk, or mount it"),
        ("$HOME/data", "no such folder: HOME is not replaced by its value here; write the whole"),
        ("data/*", "no such folder: patterns are not expanded here; give a folder"),
    ],
)
def test_what_is_no_path(path, why):
    assert f"no data in {path} - {why}" in refused(path)
    with pytest.raises(DataError, match="no data in"):
        unlabelled.find_pictures(path, ["a", "b"])


@pytest.mark.fault(140)
def test_folders_deeper_than_a_path_may_be_long(root, monkeypatch):
    monkeypatch.chdir(root / "a")
    for _ in range(21):
        os.mkdir("d" * 200)
        os.chdir("d" * 200)
    try:
        said = refused(root)
    finally:
        os.chdir(root)
        shutil.rmtree("a")
    assert said.endswith("... - file name too long; move it up, or shorten its name")
    assert len(said) < 400


@pytest.mark.fault(141)
def test_several_pictures_in_one_jpeg_of_a_phone(root):
    photo, second = noise(1), noise(2)
    buffer = io.BytesIO()
    photo.save(buffer, "MPO", save_all=True, append_images=[second])
    (root / "a" / "3.jpg").write_bytes(buffer.getvalue())
    photo.save(root / "a" / "4.jpg")
    with (root / "a" / "4.jpg").open("ab") as file:
        file.write(b"\0\0\0\x18ftypmp42" + bytes(3000))  # a second of video
    examples = source.read(root)
    first, moving = (examples.load(examples.names.index(f"a/{n}.jpg"), 30) for n in (3, 4))
    np.testing.assert_array_equal(first, moving)
    assert "bytes follow the picture in 2: a/3.jpg, a/4.jpg" in examples.notes


@pytest.mark.fault(142)
def test_png_as_xcode_compresses_it(root):
    whole = png(4, 4, depth=8, color=6, rows=bytes(4 * 17))
    box = struct.pack(">I", 4) + b"CgBI" + bytes(8)
    (root / "a" / "3.png").write_bytes(whole[:8] + box + whole[8:])
    assert "unsupported format PNG as Xcode compresses it (CgBI)" in refused(root)


def bitmap(alpha):
    """A BMP of 8x8 pixels with this alpha in its fourth channel, and its colours."""
    pixels = np.random.default_rng(0).integers(0, 256, [8, 8, 4], np.uint8)
    pixels[..., 3] = alpha
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000) + b"Win " + bytes(48)
    header = struct.pack("<IiiHHIIiiII", 108, 8, -8, 1, 32, 3, 256, 2835, 2835, 0, 0) + masks
    start = b"BM" + struct.pack("<IHHI", 14 + 108 + 256, 0, 0, 14 + 108)
    return start + header + pixels.tobytes(), pixels[..., 2::-1]


@pytest.mark.fault(143)
def test_a_bmp_whose_alpha_was_left_0_is_seen(tmp_path):
    content, colours = bitmap(alpha=0)
    np.testing.assert_array_equal(decode.picture_in(content, "x.bmp", 8), colours)
    content, _ = bitmap(alpha=[0] * 7 + [255])  # meant: the pixels before the last are white
    assert (decode.picture_in(content, "x.bmp", 8)[:, :7] == 255).all()
    clear = Image.new("RGBA", (8, 8), (9, 9, 9, 0))
    clear.save(tmp_path / "x.png")
    assert (decode.picture(tmp_path / "x.png", 8) == 255).all()  # as docs/data.md says


@pytest.mark.fault(171)
def test_heic_beside_jpeg_is_named(root):
    (root / "a" / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic" + bytes(30))
    (root / "a" / "IMG_1.MOV").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(30))
    (root / "a" / "IMG_1.AAE").write_bytes(b"<plist>")
    said = refused(root)
    assert "a/IMG_1.HEIC - unsupported format HEIC; convert it to PNG or JPEG" in said
    assert "MOV" not in said


@pytest.mark.fault(162)
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_network_disk_that_fails_is_no_fault_of_the_file(root, monkeypatch, number):
    file, plain = root / "a" / "1.png", os.stat

    def fail(path, *arguments, **options):
        if path == file:
            raise OSError(number, os.strerror(number), path)
        return plain(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", fail)
    with pytest.raises(DataError) as caught:
        decode.picture(file, 8)
    assert str(caught.value) == (
        f"bad picture in {root}/a/1.png - {os.strerror(number).lower()}; try again, or copy the "
        "data to a disk of this machine"
    )


# Lists


@pytest.mark.fault(144)
@pytest.mark.fault(145)
@pytest.mark.parametrize(("name", "there"), [("x", "x.png"), ("X.PNG", "x.png")])
def test_names_without_suffix_or_in_another_case(tmp_path, name, there):
    path = listed(tmp_path, f"file,class\n{name},a\ny.png,b\n")
    why = f"{path}:2 ({name}) - no such file; did you mean {there}, which is there?"
    assert why in refused(path)


@pytest.mark.fault(145)
def test_several_that_could_be_meant_are_not_guessed(tmp_path):
    path = listed(tmp_path, "file,class\nx,a\ny.png,b\n", ("x.png", "x.jpg", "y.png"))
    assert f"{path}:2 (x) - no such file; restore or remove it" in refused(path)


@pytest.mark.fault(146)
def test_names_that_an_archive_of_macos_decomposed(tmp_path):
    name = "\u00e9t\u00e9.png"
    on_disk = unicodedata.normalize("NFD", name)
    path = listed(tmp_path, f"file,class\n{name},a\ny.png,b\n", (on_disk, "y.png"))
    assert source.read(path).load(0, 30).shape == (30, 40, 3)


@pytest.mark.fault(147)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("file\tclass\nx.png\ta\n", "fields are separated by tabs; separate them by commas"),
        ("file|class\nx.png|a\n", "fields are separated by |; separate them by commas"),
        ("sep=;\nfile;class\n", "sep=; is a line for Excel alone; remove it, and use commas"),
        ("sep=,\nfile,class\n", "sep= is a line for Excel alone; remove it, and use commas"),
    ],
)
def test_other_separators_of_spreadsheets(tmp_path, content, why):
    path = listed(tmp_path, content)
    assert refused(path) == f"bad line in {path}:1 - {why}"


@pytest.mark.fault(148)
def test_labels_in_the_encoding_of_windows_are_told_of(tmp_path):
    path = listed(tmp_path, b"file,class\nx.png,caf\xe9\ny.png,b\n")
    [note] = source.read(path).notes
    assert note == (
        "1 labels are not UTF-8, the first in line 2 (caf\\udce9): save the list as CSV UTF-8, if "
        "a spreadsheet made it"
    )
    plain = listed(tmp_path, "file,class\nx.png,caf\u00e9\ny.png,b\n")
    assert source.read(plain).notes == ()


@pytest.mark.fault(157)
def test_labels_that_pandas_takes_for_nothing(tmp_path):
    names = [f"{number}.png" for number in range(4)]
    labels = ["NA", "None", "nan", "null"]
    lines = "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=True))
    examples = source.read(listed(tmp_path, f"file,class\n{lines}", names))
    assert [examples.class_names[label] for label in examples.labels] == labels


@pytest.mark.fault(149)
def test_ids_of_a_competition(tmp_path):
    path = listed(tmp_path, "id,label\nx,a\ny,b\n")
    said = refused(path)
    assert said.startswith(f"no data in {path} - labels without images; give one of")
    assert said.endswith("of pictures has the header `file,class`, and names with their suffix")


# Arrays


@pytest.mark.fault(150)
@pytest.mark.parametrize("channels", [1, 3])
def test_channels_first(tmp_path, channels):
    path = array(tmp_path, np.moveaxis(COLOUR[..., :channels], 3, 1))
    assert refused(path) == (
        f"bad array in {path} - got uint8 [4, {channels}, 8, 8], which has its channels first; "
        "move them to the end: np.moveaxis(images, 1, 3)"
    )


@pytest.mark.fault(151)
def test_content_decides_and_not_the_suffix_of_an_array(tmp_path):
    path = array(tmp_path, COLOUR)
    expected = source.read(path)
    os.rename(path, tmp_path / "x.npz")
    np.savez(tmp_path / "y.npz", images=COLOUR, labels=[0, 1, 0, 1])
    os.rename(tmp_path / "y.npz", tmp_path / "y.npy")
    for name in ("x.npz", "y.npy"):
        examples = source.read(tmp_path / name)
        np.testing.assert_array_equal(examples.labels, expected.labels)
        np.testing.assert_array_equal(examples.load(2, 8), expected.load(2, 8))


@pytest.mark.fault(152)
@pytest.mark.parametrize(
    ("labels", "remedy"),
    [
        (np.eye(2)[[0, 1, 0, 1]], "of one-hot rows take labels.argmax(1)"),
        (np.array([True, False, True, False]), "save labels.astype(int)"),
        (np.array([0.0, 1, 0, 1]), "save labels.astype(int)"),
    ],
)
def test_labels_of_other_kinds(tmp_path, labels, remedy):
    assert refused(array(tmp_path, COLOUR, labels)).endswith(
        f"labels are [N] integers or words; {remedy}"
    )


@pytest.mark.fault(152)
def test_labels_as_bytes_are_words(tmp_path):
    labels = np.array(["caf\u00e9".encode(), b"b", b"b", b"b"])
    assert source.read(array(tmp_path, COLOUR, labels)).class_names == ("b", "caf\u00e9")


@pytest.mark.fault(169)
@pytest.mark.parametrize("order", "<>")
def test_labels_of_letters_that_unicode_has_not(tmp_path, order):
    words = np.array(["cat", "dog", "cat", "dog"], f"{order}U3")
    assert source.read(array(tmp_path, COLOUR, words)).class_names == ("cat", "dog")
    words.view(f"{order}u4")[1] = 0x110000
    path = array(tmp_path, COLOUR)
    np.save(tmp_path / "x_labels.npy", words)
    assert refused(path).endswith("it holds letters that Unicode has not; fetch it again")


@pytest.mark.fault(169)
def test_an_archive_that_claims_more_than_its_file_has(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, images=COLOUR, labels=[0, 1, 0, 1])
    whole = path.read_bytes()
    at = whole.index(b"PK\1\2") + 20  # of the first member: the size of what is packed
    path.write_bytes(whole[:at] + struct.pack("<I", 2**31) + whole[at + 4 :])
    assert refused(path) == (
        f"bad array in {path} - images.npy claims 2147483648 packed; fetch it again"
    )


@pytest.mark.fault(153)
def test_an_array_in_the_order_of_fortran(tmp_path):
    path = array(tmp_path, np.asfortranarray(COLOUR))
    examples = source.read(path)
    for index in range(4):
        np.testing.assert_array_equal(examples.load(index, 8), COLOUR[index])


@pytest.mark.fault(154)
@pytest.mark.parametrize("channels", [2, 4, 13])
def test_as_many_channels_as_a_satellite_has(tmp_path, channels):
    path = array(tmp_path, np.zeros([4, 8, 8, channels], np.uint8))
    assert f"got uint8 [4, 8, 8, {channels}]; images are [N, H, W] or [N, H, W, 1 or 3]" in refused(
        path
    )


@pytest.mark.fault(170)
def test_colour_profiles_are_left_out(tmp_path):
    photo = noise()
    photo.save(tmp_path / "plain.png")
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photo.save(tmp_path / "profile.png", icc_profile=profile)
    np.testing.assert_array_equal(
        decode.picture(tmp_path / "profile.png", 30), decode.picture(tmp_path / "plain.png", 30)
    )


@pytest.mark.fault(172)
def test_pictures_of_one_pixel_are_refused_where_a_limit_says_so(root):
    Image.new("RGB", (1, 1)).save(root / "a" / "pixel.gif")
    assert "a/pixel.gif - too small (1x1, below 8; --min_size)" in refused(root, min_size=8)
