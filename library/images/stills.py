"""Still images through Pillow: opened by an allow-list, checked by their header, shrunk on load."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from PIL import Image

from pictor.library.errors import ImageError
from pictor.library.images.colour import to_srgb
from pictor.library.images.faults import check_complete
from pictor.library.images.limits import Limits, check_bytes, check_memory, check_pixels
from pictor.library.images.metadata import orientation_of, read_metadata
from pictor.library.images.pam import read_pam
from pictor.library.images.picture import Picture, displayed_size, upright
from pictor.library.images.sniff import HEIF, JPEG, PAM
from pictor.library.images.source import MediaFile
from pictor.library.records import Metadata, Reason


@lru_cache(maxsize=1)
def _register_heif() -> None:
    """Teach Pillow HEIF. Embedded thumbnails, depth maps and gain maps are left alone."""
    import pillow_heif

    pillow_heif.register_heif_opener(
        thumbnails=False, depth_images=False, aux_images=False, decode_threads=1
    )


@contextmanager
def opened(source: MediaFile, limits: Limits) -> Iterator[Image.Image]:
    """The lazily opened image, after its size was checked; closed afterwards.

    Raises:
        ImageError: no decoder, or too large. Anything else a plug-in raises passes through.
    """
    media = source.media
    check_bytes(source.size_bytes, limits, f"the {media.name}")
    check_complete(source)
    with source.open() as file:
        if media == PAM:
            image: Image.Image = read_pam(file.read(), _pixel_limit(source, limits))
        elif not media.decoder:
            raise ImageError(Reason.UNSUPPORTED, f"{media.name} files cannot be decoded")
        else:
            if media == HEIF:
                _register_heif()
            image = Image.open(file, formats=media.decoder)
        with image:
            check_header(image, source, limits)
            yield image


def header_limit(source: MediaFile, limits: Limits) -> int:
    """The most pixels Pillow itself may accept while it opens the file."""
    if source.media == JPEG:
        return limits.max_header_pixels
    return _pixel_limit(source, limits)


def _pixel_limit(source: MediaFile, limits: Limits) -> int:
    by_memory = limits.max_memory_bytes // source.media.bytes_per_pixel
    return min(limits.max_pixels, by_memory)


def check_header(image: Image.Image, source: MediaFile, limits: Limits) -> None:
    """Refuse by the size the header states.

    Raises:
        ImageError: TOO_LARGE or CORRUPT.
    """
    what = f"the {source.media.name}"
    check_pixels(*image.size, header_limit(source, limits), what)
    if source.media == JPEG:
        check_memory(_jpeg_buffer_bytes(image, source), limits, f"the multi-scan {what[4:]}")


def load_still(source: MediaFile, min_edge: int, limits: Limits) -> tuple[Metadata, Picture]:
    """The picture and what its file says.

    Args:
        min_edge: the short side in pixels below which a large picture must not be shrunk; 0 keeps
            all of it.
    """
    with opened(source, limits) as image:
        # TIFF loses its tags when it is loaded, PNG has those behind its pixels only afterwards.
        is_tiff = hasattr(image, "tag_v2")
        metadata = read_metadata(image, source.media.name) if is_tiff else Metadata()
        full_size = image.size
        if source.media == JPEG and min_edge:
            image.draft(None, (min_edge, min_edge))
            check_pixels(*image.size, limits.max_pixels, f"the shrunk {source.media.name}")
            image.load()
        else:
            check_pixels(*image.size, _pixel_limit(source, limits), f"the {source.media.name}")
            image.load()
            full_size = image.size  # HEIF may find another one while it decodes
        if not is_tiff:
            metadata = read_metadata(image, source.media.name)
        orientation = orientation_of(image)  # 1 for TIFF and HEIF, which are upright by now
        rgb = upright(to_srgb(image, min_edge), orientation)
    return metadata, Picture(rgb, displayed_size(full_size, orientation))


def _jpeg_buffer_bytes(image: Image.Image, source: MediaFile) -> int:
    """What libjpeg keeps of a JPEG with several scans, at full size even where it is shrunk.

    All coefficients, 2 bytes each (libjpeg.txt, "Progressive JPEG support"); 0 for a single scan.
    """
    layers = getattr(image, "layer", [])
    if not layers or not (image.info.get("progressive") or _has_more_scans(source, len(layers))):
        return 0
    across, down = max(layer[1] for layer in layers), max(layer[2] for layer in layers)
    if not across or not down:
        return 0
    blocks = sum(layer[1] * layer[2] for layer in layers) / (across * down)
    return int(2 * blocks * image.width * image.height)


def _has_more_scans(source: MediaFile, components: int) -> bool:
    """Whether the first scan holds fewer components than the picture has."""
    with source.open() as file:
        position = 2
        while True:
            file.seek(position)
            marker = file.read(5)
            if len(marker) < 5 or marker[0] != 0xFF:
                return False
            if marker[1] == 0xDA:  # start of scan
                return marker[4] < components
            # Fill bytes may stand between segments.
            filler = marker[1] == 0xFF
            position += 1 if filler else 2 + int.from_bytes(marker[2:4], "big")
