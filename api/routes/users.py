"""Who may log in to the panel, and as what."""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, StrictBool
from sqlalchemy.ext.asyncio import AsyncSession

from api import etags
from api.deps import SessionDep, UserManager
from api.errors import described
from api.etags import IfMatch, tagged
from api.idempotency import Once
from api.schemas import Answer, Cursor, Limit, Listed
from ura import accounts
from ura.models import Role
from ura.users import GRANTS, SHORTEST_PASSWORD, Permission

router = APIRouter(tags=["users"], route_class=Once)

UserId = Annotated[int, Path(ge=1, le=2**31 - 1)]
Password = Annotated[
    str | None,
    Field(
        min_length=SHORTEST_PASSWORD,
        max_length=200,
        description="Left out, one is made here and told once, in the answer.",
    ),
]


class UserAnswer(Answer):
    id: int
    email: str
    name: str
    role: Role
    active: bool


class NewUser(BaseModel):
    email: str = Field(min_length=1, max_length=120, description="What they log in with.")
    name: str = Field(default="", max_length=80)
    role: Role
    password: Password = None
    model_config = {
        "extra": "forbid",
        "json_schema_extra": {"example": {"email": "ana@provedor.example", "name": "Ana", "role": "attendant"}},
    }


class NewUserAnswer(UserAnswer):
    password: str | None = Field(description="When it was made here. It is not told again.")


class UserPatch(BaseModel):
    """What is left out stays as it is."""

    name: str | None = Field(None, min_length=1, max_length=80)
    role: Role | None = None
    active: StrictBool | None = None
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {"role": "supervisor"}}}


class NewPassword(BaseModel):
    password: Password = None
    model_config = {"extra": "forbid", "json_schema_extra": {"example": {}}}


class PasswordAnswer(BaseModel):
    password: str | None = Field(description="When it was made here. It is not told again.")


class RoleAnswer(Answer):
    role: Role
    permissions: list[Permission]


@router.get("/users", summary="List users, by e-mail", responses=described())
async def list_users(
    _actor: UserManager, session: SessionDep, cursor: Cursor = "", limit: Limit = 50
) -> Listed[UserAnswer]:
    page = await accounts.list_users(session, cursor=cursor, limit=limit)
    return Listed(items=[UserAnswer.model_validate(user) for user in page.items], next_cursor=page.next_cursor)


@router.get("/roles", summary="What each role may do", responses=described())
async def list_roles(_actor: UserManager) -> list[RoleAnswer]:
    return [RoleAnswer(role=role, permissions=sorted(GRANTS[role])) for role in Role]


@router.get("/users/{user_id}", summary="One user", responses=described(404))
async def get_user(_actor: UserManager, session: SessionDep, response: Response, user_id: UserId) -> UserAnswer:
    return tagged(response, await _answer(session, user_id))


@router.post("/users", status_code=201, summary="Let somebody log in", responses=described(409))
async def create_user(actor: UserManager, session: SessionDep, response: Response, wanted: NewUser) -> NewUserAnswer:
    """Nobody gives a role that may do more than they may themselves."""
    user, password = await accounts.create_user(
        session, email=wanted.email, name=wanted.name, role=wanted.role, password=wanted.password, actor=actor
    )
    response.headers["Location"] = f"/api/v1/users/{user.id}"
    return NewUserAnswer(**UserAnswer.model_validate(user).model_dump(), password=password)


@router.patch("/users/{user_id}", summary="Change a role, or shut somebody out", responses=described(404, 409, 412))
async def change_user(
    actor: UserManager,
    session: SessionDep,
    response: Response,
    user_id: UserId,
    patch: UserPatch,
    if_match: IfMatch = None,
) -> UserAnswer:
    """Whoever gets another role, or is disabled, is logged out everywhere. The last administrator stays one."""
    await etags.check(session, if_match, f"user {user_id}", lambda: _answer(session, user_id))
    await accounts.change_user(session, user_id, name=patch.name, role=patch.role, active=patch.active, actor=actor)
    return tagged(response, await _answer(session, user_id))


@router.post("/users/{user_id}/password", summary="Give somebody a new password", responses=described(404))
async def reset_password(
    actor: UserManager, session: SessionDep, user_id: UserId, wanted: NewPassword
) -> PasswordAnswer:
    """They are logged out everywhere."""
    made = await accounts.reset_password(session, user_id, password=wanted.password, actor=actor)
    return PasswordAnswer(password=made)


async def _answer(session: AsyncSession, user_id: int) -> UserAnswer:
    return UserAnswer.model_validate(await accounts.get_user(session, user_id))
