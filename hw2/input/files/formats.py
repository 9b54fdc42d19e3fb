"""Image formats, recognized by the first bytes of a file and never by its suffix."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

# Not through `Image.open`, whose limit on pixels is a global of the process.
READERS: dict[str, Callable[[BinaryIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "WEBP": WebPImageFile,
}
NAMES = tuple(READERS)
SUFFIXES = {  # what files of these formats are usually called
    "JPEG": (".jpg", ".jpeg", ".jfif", ".jpe", ".pjpeg", ".pjp"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
}
OTHER_SUFFIXES = (".tif", ".tiff", ".avif", ".heic", ".heif", ".jp2", ".jxl")  # not read

SIGNATURE_BYTES = 132  # DICOM has 128 bytes of anything before its mark
# Files that no data set means as pictures, which need not be opened to tell.
TEXTS = {
    *(".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".html", ".yaml", ".yml", ".toml"),
    *(".cfg", ".ini", ".log", ".py", ".ipynb", ".npy", ".npz", ".mat", ".h5", ".pkl", ".pt"),
    *(".zip", ".gz", ".tar", ".7z", ".rar", ".pdf", ".mp4", ".mov", ".avi", ".svg", ".aae"),
    *(".tfrecord", ".safetensors", ".sha256", ".md5", ".icloud"),
}
_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "BigTIFF",
    b"MM\0+": "BigTIFF",
    b"\0\0\0\x0cjP  ": "JPEG 2000",
    b"\0\0\0\x0cJXL ": "JPEG XL",
    b"\xff\x0a": "JPEG XL",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "Radiance HDR",
    b"\0\0\1\0": "ICO",
    b"FUJIFILMCCD-RAW": "raw (of a camera)",
    b"SIMPLE  =": "FITS",
    b"\x89HDF\r\n": "HDF5",
    b"%PDF-": "PDF",
    b"P5\n": "PGM",
    b"P6\n": "PPM",
}
_BRANDS = {  # ISO/IEC 14496-12, the box `ftyp`
    b"avif": "AVIF",
    b"avis": "AVIF",
    b"heic": "HEIC",
    b"heix": "HEIC",
    b"mif1": "HEIC",
    b"msf1": "HEIC",
    b"heim": "HEIC",
    b"heis": "HEIC",
    b"hevc": "HEIC",
    b"hevx": "HEIC",
    b"crx ": "raw (of a camera)",
    b"isom": "MP4 (a video)",
    b"mp41": "MP4 (a video)",
    b"mp42": "MP4 (a video)",
    b"qt  ": "QuickTime (a video)",
}


def is_picture(path: str) -> bool:
    """Whether a file of unknown suffix is an image that is read, by its first bytes.

    "BM" is no sign of a picture: texts begin with it.
    """
    try:
        with open(path, "rb") as file:
            found = name(file.read(SIGNATURE_BYTES))
    except OSError:
        return False
    return found in READERS and found != "BMP"


def name(start: bytes) -> str | None:
    """Returns the format of a file that begins with `start`, or None; some have no reader."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if start[4:8] == b"ftyp":
        return _BRANDS.get(start[8:12])
    if start[128:132] == b"DICM":  # after a preamble of any bytes
        return "DICOM"
    if start[:8] == b"\x89PNG\r\n\x1a\n" and start[12:16] == b"CgBI":
        return "PNG as Xcode compresses it (CgBI)"
    return next((name for magic, name in _SIGNATURES.items() if start.startswith(magic)), None)
