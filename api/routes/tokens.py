"""Keys of programs to this API."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field

from api.deps import SessionDep, TokenManager
from api.errors import described
from api.idempotency import Once
from api.schemas import Answer, Cursor, Limit, Listed, Moment
from ura import accounts
from ura.users import Permission

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=Once)


class TokenAnswer(Answer):
    id: int
    name: str
    scopes: list[Permission]
    made_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class NewToken(BaseModel):
    name: str = Field(min_length=1, max_length=80, pattern=r"^\S(.*\S)?$", description="What the audit calls it.")
    scopes: list[Permission] = Field(min_length=1, max_length=len(Permission))
    expires_at: Moment = Field(description="With a time zone; within two years.")
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {
            "example": {"name": "crm", "scopes": ["leads:read"], "expires_at": "2027-06-30T00:00:00-03:00"}
        },
    }


class NewTokenAnswer(TokenAnswer):
    token: str = Field(description="Send it as `Authorization: Bearer …`. It is not told again.")


@router.get("", summary="List tokens, newest first", responses=described())
async def list_tokens(
    _actor: TokenManager, session: SessionDep, cursor: Cursor = "", limit: Limit = 50
) -> Listed[TokenAnswer]:
    """Of a token only its hash is kept: nobody can read it here."""
    page = await accounts.list_tokens(session, cursor=cursor, limit=limit)
    return Listed(items=[TokenAnswer.model_validate(row) for row in page.items], next_cursor=page.next_cursor)


@router.post("", status_code=201, summary="Make a token; it is told once", responses=described(409))
async def create_token(
    actor: TokenManager, session: SessionDep, response: Response, wanted: NewToken
) -> NewTokenAnswer:
    """A person makes it, with no scope that they do not have themselves."""
    row, token = await accounts.create_token(
        session,
        name=wanted.name,
        scopes=wanted.scopes,
        expires_at=wanted.expires_at,
        now=datetime.now(UTC),
        actor=actor,
    )
    return NewTokenAnswer(**TokenAnswer.model_validate(row).model_dump(), token=token)


@router.delete("/{token_id}", status_code=204, summary="Let a token in no more", responses=described(404))
async def revoke_token(
    actor: TokenManager, session: SessionDep, token_id: Annotated[int, Path(ge=1, le=2**31 - 1)]
) -> None:
    await accounts.revoke_token(session, token_id, actor=actor)
