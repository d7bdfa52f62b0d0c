"""Moves of what somebody has seen: a GET gives the `version` as `ETag`, a move may send it as `If-Match`; a stale one
is refused. Comments, which change no version, make nothing stale."""

from fastapi import Response

from api.etags import ChangedMeanwhile


def put_etag(response: Response, version: int) -> None:
    response.headers["ETag"] = _etag(version)


def check_match(if_match: str | None, version: int) -> None:
    """Raises ChangedMeanwhile. None and `*` fit every version."""
    if if_match is None:
        return
    tags = {tag.strip().removeprefix("W/") for tag in if_match.split(",")}
    if not tags & {"*", _etag(version)}:
        raise ChangedMeanwhile("This has changed since you read it. Read it again, then decide.")


def _etag(version: int) -> str:
    return f'"{version}"'
