"""What every node kind is made of: parts of a flow document, prompts and slots, the base of nodes that ask."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from ura.flows.effects import SpokenKind
from ura.privacy import Wish

NodeKey = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
PromptKey = Annotated[str, Field(pattern=r"^[a-z0-9_]+(\.[a-z0-9_]+)*$", max_length=120)]
FactPath = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$", max_length=120)]
Slug = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=40)]


class Part(BaseModel):
    """Base of everything in a flow document: unknown fields are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Slot(Part):
    """A fact to be spoken: `{say: money, of: plan.price}`. `feminine` asks for "duas" instead of "dois"."""

    say: SpokenKind
    of: FactPath
    feminine: bool = False


Says = PromptKey | Slot
Prompts = tuple[Says, ...]


class Retry(Part):
    """What happens when nothing, or a wrong key, is pressed: asked `tries` times in all, then on to `next`.

    `prompts` are spoken before the question is put again. `next` empty means the flow's person node.
    """

    tries: int = Field(default=2, ge=1, le=3)
    prompts: Prompts = ()
    next: NodeKey | None = None


class BaseNode(Part):
    """What every node has. `title` is for the editor, in Portuguese."""

    type: str
    key: NodeKey
    title: str = ""
    wish: ClassVar[Wish | None] = None  # what it does with a contract; `ura.privacy` says how sure of the caller to be
    asks: ClassVar[bool] = False  # the caller is given the word here
    ends: ClassVar[bool] = False  # the call may leave the flow here

    def edges(self) -> Iterator[tuple[str, str]]:
        """(name of the edge, key of the node it leads to), as written by the author."""
        for name in ("next", "failed"):
            target = getattr(self, name, None)
            if isinstance(target, str):
                yield name, target
        edges = getattr(self, "on", None)
        if isinstance(edges, Part):
            for name in type(edges).model_fields:
                target = getattr(edges, name)
                if isinstance(target, str):
                    yield f"on.{name}", target

    def spoken(self) -> Iterator[Says]:
        """Every prompt and slot this node can play, in no order that matters."""
        for name in type(self).model_fields:
            yield from _says(getattr(self, name))

    def fillers(self) -> Iterator[str]:
        """What is heard while the caller waits for an answer."""
        yield from (said for name in ("filler", "still") if (said := getattr(self, name, "")))


def _says(value: Any) -> Iterator[Says]:
    if isinstance(value, Slot):
        yield value
    elif isinstance(value, Retry):
        yield from value.prompts
    elif isinstance(value, Wording):
        for name in type(value).model_fields:
            said = getattr(value, name)
            yield from (said if isinstance(said, tuple) else (said,))
    elif isinstance(value, tuple):
        for item in value:
            if isinstance(item, Slot):
                yield item
            elif isinstance(item, Part):
                yield from getattr(item, "prompts", ())
            elif isinstance(item, str):
                yield item


class Asking(BaseNode):
    """A node that puts a question. Missing `no_input` / `invalid`: two tries, then the person.

    `menu` and `collect` must write both (validation says so): the author decides where silence leads.
    """

    asks: ClassVar[bool] = True
    timeout_s: float = Field(default=5.0, ge=1, le=30)
    no_input: Retry | None = None
    invalid: Retry | None = None

    def on_silence(self) -> Retry:
        return self.no_input or Retry()

    def on_wrong_key(self) -> Retry:
        return self.invalid or Retry()

    def edges(self) -> Iterator[tuple[str, str]]:
        yield from super().edges()
        for name in ("no_input", "invalid"):
            retry: Retry | None = getattr(self, name)
            if retry and retry.next:
                yield name, retry.next


class Declinable(Asking):
    """A question whose silence says no: edge `declined`."""

    on: Any

    def on_silence(self) -> Retry:
        return self.no_input or Retry(next=self.on.declined)


class Wording(Part):
    """Prompt keys of a composed question. Defaults are catalogue keys that the house ships; any can be replaced."""
