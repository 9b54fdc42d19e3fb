"""Decodes image files in a graph: `hw2.input.files.decode` in terms of TensorFlow's ops.

The pixels are bit-identical to those of `hw2.input.files.decode`. Some files are refused, with the
reason: animated WebP, transparent GIF, GIF whose first frame is not the whole image, BMP other than
24 bits without compression, PNG with EXIF as text, and transparent grey PNG of less than 8 bits.
"""

from __future__ import annotations

import tensorflow as tf

REMEDY = "save it as an upright JPEG or PNG"


def decoded(content: tf.Tensor, short_side: int, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the bytes of one file.

    Args:
      content: A string scalar.
      short_side: The side that the image will be scaled to. A large JPEG is decoded at a half, a
        quarter or an eighth of its size, as long as that leaves twice `short_side`.
      max_pixels: Larger images are refused by their header.

    Returns:
      uint8 `[h, w, 3]`, upright, on white where it is transparent; and the height and width,
      `[2]`, that it would have if it were decoded at full size. The graph fails with
      `InvalidArgumentError` for a file that is not an image, damaged, or refused.
    """
    start = tf.cast(tf.io.decode_raw(tf.strings.substr(content, 0, 64), tf.uint8), tf.int32)
    start = tf.ensure_shape(tf.pad(start, [[0, 64 - tf.shape(start)[0]]]), [64])

    def begins(*signatures: bytes) -> tf.Tensor:
        return tf.reduce_any([tf.strings.substr(content, 0, len(s)) == s for s in signatures])

    def webp() -> tf.Tensor:
        return begins(b"RIFF") & tf.reduce_all(start[8:12] == tf.constant(list(b"WEBP")))

    def whole(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return image, tf.shape(image)[:2]

    def refuse() -> tuple[tf.Tensor, tf.Tensor]:
        words = f"no JPEG, PNG, GIF, BMP or WebP picture; {REMEDY}"
        with tf.control_dependencies([tf.debugging.Assert(False, [words])]):
            return whole(tf.zeros([1, 1, 3], tf.uint8))

    image, size = tf.case(
        [
            (begins(b"\xff\xd8\xff"), lambda: _jpeg(content, short_side, max_pixels)),
            (begins(b"\x89PNG\r\n\x1a\n"), lambda: whole(_png(content, start, max_pixels))),
            (begins(b"GIF87a", b"GIF89a"), lambda: whole(_gif(content, start, max_pixels))),
            (begins(b"BM"), lambda: whole(_bmp(content, start, max_pixels))),
            (webp(), lambda: whole(_webp(content, start))),
        ],
        default=refuse,
    )
    return tf.ensure_shape(image, [None, None, 3]), tf.ensure_shape(size, [2])


def _jpeg(content: tf.Tensor, short_side: int, max_pixels: int) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.io.extract_jpeg_shape(content)
    ratio = shape[:2] // (2 * short_side)

    def at(scale: int) -> tf.Tensor:
        return tf.io.decode_jpeg(content, 3, ratio=scale, dct_method="INTEGER_ACCURATE")

    with tf.control_dependencies([_limited(shape[0], shape[1], max_pixels)]):
        smaller = tf.reduce_min(ratio)
        image = tf.case(
            [(smaller >= scale, lambda scale=scale: at(scale)) for scale in (8, 4, 2)],
            default=lambda: at(1),
        )
    orientation = _orientation(content, b"Exif\0\0")
    size = tf.cond(orientation >= 5, lambda: tf.gather(shape, [1, 0]), lambda: shape[:2])
    return _upright(image, orientation), size


def _png(content: tf.Tensor, start: tf.Tensor, max_pixels: int) -> tf.Tensor:
    text = tf.shape(_split(content, b"Raw profile type exif"))[0] > 1
    named = tf.shape(_split(content, b"tRNS"))[0] > 1
    depth, grey = start[24], start[25] == 0
    few = grey & (depth < 8)
    checks = [
        _limited(_number(start[16:20]), _number(start[20:24]), max_pixels),
        tf.debugging.Assert(~text, [f"a PNG with EXIF as text; {REMEDY}"]),
        tf.debugging.Assert(~(few & named), [f"a transparent PNG of few bits; {REMEDY}"]),
    ]
    with tf.control_dependencies(checks):
        image = tf.io.decode_png(content, 4)
    # TensorFlow makes few bits of grey whole levels, but its opaque is then 1, 3 or 15.
    image = tf.concat(
        [image[..., :3], tf.where(few, tf.constant(255, tf.uint8), image[..., 3:])], 2
    )
    return _upright(_on_white(image), _orientation(content, b"eXIf"))


def _gif(content: tf.Tensor, start: tf.Tensor, max_pixels: int) -> tf.Tensor:
    width, height = _number(start[7:5:-1]), _number(start[9:7:-1])
    whole = tf.strings.join([b",\0\0\0\0", tf.strings.substr(content, 6, 4)])
    control = _split(content, b"\x21\xf9\x04")
    before = _split(control[0], whole)  # is there a frame before the first control?
    flags = tf.cond(
        (tf.shape(control)[0] > 1) & (tf.shape(before)[0] == 1),
        lambda: _bytes(tf.strings.substr(control[1], 0, 1))[0],
        lambda: 0,
    )
    covers = tf.shape(_split(content, whole))[0] > 1
    checks = [
        _limited(width, height, max_pixels),
        tf.debugging.Assert(flags % 2 == 0, [f"a transparent GIF; {REMEDY}"]),
        tf.debugging.Assert(covers, [f"a GIF whose first frame is a part of it; {REMEDY}"]),
    ]
    with tf.control_dependencies(checks):
        return tf.io.decode_gif(content)[0]


def _bmp(content: tf.Tensor, start: tf.Tensor, max_pixels: int) -> tf.Tensor:
    plain = (start[28] == 24) & (start[14] >= 40) & (_number(start[33:29:-1]) == 0)
    height = tf.abs(_number(start[25:21:-1]))  # negative where the top row comes first
    checks = [
        _limited(_number(start[21:17:-1]), height, max_pixels),
        tf.debugging.Assert(plain, [f"a BMP of another kind than 24 bits; {REMEDY}"]),
    ]
    with tf.control_dependencies(checks):
        return tf.io.decode_bmp(content, 3)


def _webp(content: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    kind = tf.strings.substr(content, 12, 4)
    extended = kind == b"VP8X"
    features = tf.where(extended, start[20], 0)
    lossless = tf.where(kind == b"VP8L", start[24], 0)
    alpha = ((features // 16) % 2 == 1) | ((lossless // 16) % 2 == 1)
    animated = (features // 2) % 2 == 1
    described = (features // 4) % 4 > 0  # by EXIF or XMP
    check = tf.debugging.Assert(~animated, [f"an animated WebP; {REMEDY}"])
    with tf.control_dependencies([check]):
        image = tf.cond(
            alpha,
            lambda: _on_white(tf.io.decode_webp(content, 4)[0]),
            lambda: tf.io.decode_webp(content, 3)[0],
        )
    orientation = tf.cond(described, lambda: _orientation(content, b"EXIF", skip=4), lambda: 1)
    return _upright(tf.ensure_shape(image, [None, None, 3]), orientation)


def _limited(height: tf.Tensor, width: tf.Tensor, max_pixels: int) -> tf.Operation:
    """Fails if the image has more than `max_pixels`."""
    count = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return tf.debugging.Assert(count <= max_pixels, [f"more than {max_pixels} pixels; shrink it"])


def _on_white(image: tf.Tensor) -> tf.Tensor:
    """Composes RGBA with white, rounding as Pillow does."""
    colour, alpha = tf.cast(image[..., :3], tf.int32), tf.cast(image[..., 3:], tf.int32)
    total = colour * alpha + 255 * (255 - alpha) + 128
    return tf.cast((total + total // 256) // 256, tf.uint8)  # over 255, without a division


def _orientation(content: tf.Tensor, mark: bytes, skip: int = 0) -> tf.Tensor:
    """Reads the orientation from EXIF, or if it has none from XMP; 1, upright, if neither has.

    Source: EXIF 2.32, section 4.5 and 4.6.4; TIFF 6.0, section 2.
    """
    parts = _split(content, mark)

    def read() -> tf.Tensor:
        block = _bytes(tf.strings.substr(parts[1], skip, 2**16))
        named = tf.reduce_all(block[:6] == tf.constant(list(b"Exif\0\0")))
        block = tf.cond(named, lambda: block[6:], lambda: block)
        block = tf.pad(block, [[0, 14]])
        little = block[0] == 0x49

        def number(place: tf.Tensor, length: int) -> tf.Tensor:
            rows = tf.clip_by_value(place, 0, tf.size(block) - length)
            digits = tf.gather(block, rows[..., None] + tf.range(length))
            digits = tf.cond(little, lambda: digits, lambda: digits[..., ::-1])
            return tf.reduce_sum(digits * tf.constant([256**n for n in range(length)]), -1)

        first = number(tf.constant(4), 4)
        entries = first + 2 + 12 * tf.range(tf.minimum(number(first, 2), 2**12))
        inside = (entries >= 0) & (entries <= tf.size(block) - 14 - 12)
        here = inside & (number(entries, 2) == 0x0112) & (number(entries + 2, 2) == 3)
        value = tf.reduce_max(tf.where(here, number(entries + 8, 2), 0))
        return tf.where(block[0] == block[1], value, 0)

    value = tf.cond(tf.shape(parts)[0] > 1, read, lambda: 0)
    xmp = _split(content, b"tiff:Orientation")

    def written() -> tf.Tensor:
        after = tf.pad(_bytes(tf.strings.substr(xmp[1], 0, 3)), [[0, 3]])
        quoted = (after[0] == ord("=")) & (after[1] == ord('"'))
        digit = tf.where(quoted, after[2], tf.where(after[0] == ord(">"), after[1], 0))
        return digit - ord("0")

    value = tf.cond((value == 0) & (tf.shape(xmp)[0] > 1), written, lambda: value)
    return tf.where((value >= 2) & (value <= 8), value, 1)


def _upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns an image upright; with orientations 5 to 8 it is stored on its side."""
    turned = orientation >= 5
    image = tf.cond(turned, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    # Now it stands or lies as it should; these axes still run backwards.
    vertical = tf.reduce_any(orientation == tf.constant([3, 4, 7, 8]))
    horizontal = tf.reduce_any(orientation == tf.constant([2, 3, 6, 7]))
    image = tf.cond(vertical, lambda: image[::-1], lambda: image)
    return tf.cond(horizontal, lambda: image[:, ::-1], lambda: image)


def _split(content: tf.Tensor, mark: bytes) -> tf.Tensor:
    """Splits at the first `mark`: what is before it, and, if there is one, after it."""
    return tf.strings.split(content, mark, maxsplit=1)


def _bytes(content: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_raw(content, tf.uint8), tf.int32)


def _number(digits: tf.Tensor) -> tf.Tensor:
    """Combines bytes, the most significant first, into a number."""
    length = digits.shape[0]
    return tf.reduce_sum(digits * tf.constant([256**n for n in reversed(range(length))]))
