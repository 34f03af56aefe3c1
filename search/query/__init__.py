"""The one query language: texts become a `Query`, and a `Query` can be made without a text.

`docs/search.md` teaches the language. Nothing here opens a library or loads a model; a picture is
only looked for, not read.
"""

from pictor.search.query.parser import parse as parse
from pictor.search.query.records import MAX_TEXT_CHARS as MAX_TEXT_CHARS
from pictor.search.query.records import BytesPart as BytesPart
from pictor.search.query.records import ItemPart as ItemPart
from pictor.search.query.records import Part as Part
from pictor.search.query.records import Pictured as Pictured
from pictor.search.query.records import PicturePart as PicturePart
from pictor.search.query.records import Query as Query
from pictor.search.query.records import Region as Region
from pictor.search.query.records import WordsPart as WordsPart
from pictor.search.query.records import combined as combined
from pictor.search.query.records import image as image
from pictor.search.query.records import item as item
from pictor.search.query.records import picture as picture
from pictor.search.query.records import words as words
