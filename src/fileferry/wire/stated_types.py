"""What a request says of the type of its bytes, held against what was promised of them. Looks at no bytes."""

from __future__ import annotations

from fileferry.engine.inspection.declarations import is_other_type
from fileferry.errors import UnsupportedType
from fileferry.model import Upload


def refuse_other(stated: str | None, upload: Upload) -> None:
    """Raise UnsupportedType for a body that says it is of another type than was promised."""
    if is_other_type(upload.content_type, stated, upload.name):
        raise UnsupportedType(f"The ticket is for {upload.content_type}, and the body says it is something else.")
