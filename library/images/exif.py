"""What EXIF says, from the tags as Pillow reads them; any may be missing, odd or hostile."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from pictor.library.images.text import MAX_TEXT_CHARS, camera_name, clean, parse_date
from pictor.library.records import Metadata

_XP_TITLE, _XP_COMMENT, _XP_KEYWORDS, _XP_SUBJECT = 0x9C9B, 0x9C9C, 0x9C9E, 0x9C9F  # UTF-16
_RATING = 0x4746
_MAX_ALTITUDE_M = 100_000.0
# What cameras write into every picture says nothing of any.
_CANNED = re.compile(
    r"(?i)(olympus|minolta|konica|samsung|sony|kodak|casio|maginon|dcim|digital camera|default)\b.*"
    r"|.*\bdigital camera|sony dsc|screenshot|untitled|jpeg|\W*"
)


def exif_facts(exif: Image.Exif) -> Metadata:
    """The facts of an EXIF block, but sizes; values that make no sense are left out."""
    photo = exif.get_ifd(IFD.Exif)
    latitude, longitude, altitude_m = _position(exif.get_ifd(IFD.GPSInfo))
    described = clean(exif.get(Base.ImageDescription), MAX_TEXT_CHARS)
    if described and _CANNED.fullmatch(described):
        described = None
    return Metadata(
        taken_at=parse_date(photo.get(Base.DateTimeOriginal), photo.get(Base.OffsetTimeOriginal))
        or parse_date(photo.get(Base.DateTimeDigitized), photo.get(Base.OffsetTimeDigitized)),
        camera=camera_name(exif.get(Base.Make), exif.get(Base.Model)),
        lens=camera_name(photo.get(Base.LensMake), photo.get(Base.LensModel)),
        latitude=latitude,
        longitude=longitude,
        altitude_m=altitude_m,
        rating=stars(exif.get(_RATING)),
        keywords=tuple((_windows_text(exif.get(_XP_KEYWORDS)) or "").split(";")),
        title=clean(_windows_text(exif.get(_XP_TITLE)) or _windows_text(exif.get(_XP_SUBJECT))),
        description=described
        or clean(_windows_text(exif.get(_XP_COMMENT)), MAX_TEXT_CHARS)
        or _user_comment(photo.get(Base.UserComment), exif.endian),
    )


def stars(value: object) -> int | None:
    """A rating of 0 to 5, or None ("rejected" is -1)."""
    number = _number(value)
    return int(number) if number is not None and number in range(6) else None


def _number(value: object) -> float | None:
    """A finite number from a rational, number, text, or a tuple of one; else None."""
    if isinstance(value, tuple | list) and len(value) == 1:
        value = value[0]
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever it is, float() decides
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _position(gps: Mapping[int, Any]) -> tuple[float | None, float | None, float | None]:
    """Latitude, longitude and altitude; the first two are there together or not at all."""
    latitude = _degrees(gps.get(GPS.GPSLatitude), gps.get(GPS.GPSLatitudeRef), "S", 90)
    longitude = _degrees(gps.get(GPS.GPSLongitude), gps.get(GPS.GPSLongitudeRef), "W", 180)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        latitude = longitude = None  # 0, 0 is what a receiver without a fix writes
    altitude = _number(gps.get(GPS.GPSAltitude))
    if altitude is not None and abs(altitude) > _MAX_ALTITUDE_M:
        altitude = None
    if altitude is not None and gps.get(GPS.GPSAltitudeRef) in (1, b"\x01", "1", (1,)):
        altitude = -abs(altitude)
    return latitude, longitude, altitude


def _degrees(value: object, reference: object, negative: str, limit: int) -> float | None:
    """Degrees from degrees, minutes and seconds, of which the last may be missing."""
    parts = list(value) if isinstance(value, tuple | list) else [value]
    if not 1 <= len(parts) <= 3:
        return None
    total = 0.0
    for part, unit in zip(parts, (1, 60, 3600), strict=False):
        number = _number(part)
        if number is None:
            # Some writers leave the seconds as 0/0; the rest still says where it was.
            if unit == 3600:
                continue
            return None
        total += number / unit
    if (clean(reference) or "").upper().startswith(negative):
        total = -abs(total)
    return round(total, 7) if abs(total) <= limit else None


def _windows_text(value: object) -> str | None:
    """Text of the XP tags: UTF-16, little endian, whatever the byte order of the file."""
    if isinstance(value, tuple) and all(isinstance(item, int) for item in value):
        value = bytes(item & 0xFF for item in value)
    if not isinstance(value, bytes):
        return None
    return value.decode("utf-16-le", "ignore").partition("\0")[0]


def _user_comment(value: object, endian: str | None) -> str | None:
    """The comment where it states its character code; without, it is a maker's bytes."""
    if not isinstance(value, bytes):
        return None
    code, body = value[:8], value[8:]
    if code == b"ASCII\0\0\0":
        text = clean(body, MAX_TEXT_CHARS)
    elif code == b"UNICODE\0":
        encoding = "utf-16-be" if endian == ">" else "utf-16-le"
        text = clean(body.decode(encoding, "ignore"), MAX_TEXT_CHARS)
    else:
        return None
    return None if text is None or _CANNED.fullmatch(text) else text
