"""The node kinds a flow is written with: strict pydantic models, tagged by `type`.

Conventions that hold everywhere
* Node keys are `[a-z][a-z0-9_]*`. An edge names the key of another node of the same flow.
* A prompt is a key of the catalogue (`menu.main`) or a slot: `{say: date, of: neighbourhood.forecast_on}` speaks a
  fact. A slot whose fact is missing is left out.
* Every question obeys the flow's universal keys (default `0` repeats, `*` goes back, `9` is a person) without the
  author writing them down; a menu must not use them for itself. Where several digits are collected a universal key
  counts when it is the whole entry (`9` then `#`, or `9` and a pause).
* Nobody is asked for ever: the same wrong key twice, the repeat key four times in a row or the last try sends the
  caller on (default: to the flow's `person` node). Callers with the fact `repeat_call`, and those who left the question
  before in silence, are asked once only.
* `short_prompts` are what a caller hears who also called within the last two hours (fact `repeat_call`), left the
  question before in silence or is `frustrated`, and what any caller hears when a question is put again. They should
  name the person first. In a wording, `x_short` is the same for `x`.

Facts known from the start: see `ura.flows.facts`. Facts that nodes add: `sets` of a choice or say, `into` of collect
or lookup, `topic`, `city`, `neighbourhood`, `plan`, `plan_ids`, `lead_id`, `lead_status`, `ticket`, `callback`,
`opening`, `recording_id`, `steps.<node>`, `frustrated` and `person_calls` (how often a person was asked for),
`queue_left`. A phone number in the fact `contact_phone` wins over `caller` wherever a phone is needed (lead, waiting
list, callback, sending plans).
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from ura.flows.caller_nodes import (
    Diagnose,
    Dispute,
    ErpTicket,
    HearOutage,
    Identify,
    Invoices,
    Outage,
    Promise,
    ReadLine,
    SendInvoice,
    SessionReset,
    TrustUnlock,
)
from ura.flows.effects import LOOKUP_S
from ura.flows.parts import (
    Asking,
    BaseNode,
    FactPath,
    NodeKey,
    Part,
    PromptKey,
    Prompts,
    Retry,
    Says,
    Slot,
    Slug,
    Wording,
)
from ura.flows.ticket_nodes import ContinueTicket, StillDown, TicketComplaint, TicketMessage, VisitMove

__all__ = ["Asking", "BaseNode", "FactPath", "Part", "PromptKey", "Prompts", "Retry", "Says", "Slot", "Slug", "Wording"]

SCHEMA_VERSION = 1
KEYS = "0123456789*#"

Scalar = str | int | bool | None


class Topic(StrEnum):
    """What a choice is about. The legal check looks for complaint and cancellation in the first menu."""

    SALES = "sales"
    SUPPORT = "support"
    BILLING = "billing"
    COMPLAINT = "complaint"
    CANCELLATION = "cancellation"
    OTHER = "other"


class FactRef(Part):
    """The value of a fact: `{fact: neighbourhood.id}`."""

    fact: FactPath


class Choice(Part):
    """One key of a menu. `label` is Portuguese, for panels and reports. `sets` puts facts: `{audience: home}`."""

    label: str = Field(min_length=1)
    next: NodeKey
    topic: Topic | None = None
    sets: dict[FactPath, Scalar] = Field(default_factory=dict)


class Menu(Asking):
    """Asks for one key and goes where it leads. The key cuts the prompt; keys typed ahead are taken.

    `may_hang_up: true` where the text says that hanging up is fine: it is then an end on purpose, no abandonment.
    The first menu must offer choices with `topic: complaint` and `topic: cancellation`, and have `short_prompts`.

    ```yaml
    - {key: main, type: menu, prompts: [menu.main], short_prompts: [menu.main_short],
       choices: {"1": {label: Assinar, next: audience, topic: sales}, …},
       no_input: {tries: 2, prompts: [system.no_input], next: person},
       invalid: {tries: 3, prompts: [system.invalid], next: person}}
    ```
    """

    type: Literal["menu"] = "menu"
    prompts: Prompts = Field(min_length=1)
    short_prompts: Prompts = ()
    choices: dict[str, Choice] = Field(min_length=1)
    may_hang_up: bool = False

    def edges(self) -> Iterator[tuple[str, str]]:
        for digit, choice in self.choices.items():
            yield f"choices.{digit}", choice.next
        yield from super().edges()


class Say(BaseNode):
    """Speaks and goes on. A key cuts it: universal keys act at once, others count as typed ahead.

    `sets` puts facts when it was heard to its end: `{outage_told: {fact: nearby.outage}}`.
    """

    type: Literal["say"] = "say"
    prompts: Prompts = Field(min_length=1)
    short_prompts: Prompts = ()
    sets: dict[FactPath, FactRef | Scalar] = Field(default_factory=dict)
    next: NodeKey


class Collect(Asking):
    """Collects digits into the fact `into`. `#` ends early; an entry that ends in the back key goes back.

    `check`: `any`, `phone` (10 or 11 digits with area code), `mobile` (11, the third a 9) or `cep` (8 digits). A fact
    checked as phone or mobile is stored as +55….
    """

    type: Literal["collect"] = "collect"
    prompts: Prompts = Field(min_length=1)
    short_prompts: Prompts = ()
    into: FactPath
    min_digits: int = Field(default=2, ge=2, le=30)
    max_digits: int = Field(ge=2, le=30)
    check: Literal["any", "phone", "mobile", "cep"] = "any"
    next: NodeKey


class When(Part):
    """One condition on one fact. Exactly one of `is`, `in`, `known`, `at_least`, `at_most`; a missing fact is null.

    `{fact: caller_kind, is: mobile}` · `{fact: number_kind, in: [landline, mobile]}` · `{fact: caller, known: false}`
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)
    fact: FactPath
    is_: Scalar = Field(default=None, alias="is")
    in_: tuple[Scalar, ...] | None = Field(default=None, alias="in")
    known: bool | None = None
    at_least: float | None = None
    at_most: float | None = None


class Case(Part):
    when: When
    next: NodeKey


class Branch(BaseNode):
    """Goes on without a word: the first case that holds, else `otherwise`.

    ```yaml
    - {key: kind, type: branch, cases: [{when: {fact: caller_kind, is: mobile}, next: a}], otherwise: b}
    ```
    """

    type: Literal["branch"] = "branch"
    cases: tuple[Case, ...] = Field(min_length=1)
    otherwise: NodeKey | None = None  # validation refuses None; the engine goes to the person

    def edges(self) -> Iterator[tuple[str, str]]:
        for number, case in enumerate(self.cases, start=1):
            yield f"cases.{number}", case.next
        if self.otherwise:
            yield "otherwise", self.otherwise


class LookupNode(BaseNode):
    """Asks the house (read only) and keeps the answer as the fact `into`. `filler` plays when it takes over 1 s, and
    again every four seconds."""

    type: Literal["lookup"] = "lookup"
    name: Slug
    args: dict[str, FactRef | Scalar] = Field(default_factory=dict)
    into: FactPath
    filler: PromptKey = "system.one_moment"
    deadline_s: float = Field(default=LOOKUP_S, ge=0.1, le=15)
    next: NodeKey
    failed: NodeKey


class HoursEdges(Part):
    open: NodeKey
    closed: NodeKey
    failed: NodeKey


class Hours(BaseNode):
    """Is the queue attended now? Leaves the fact `opening` (`open`, `opens_at`) for slots and callbacks.

    Edges: `on: {open, closed, failed}`. `{say: moment, of: opening.opens_at}` says when it opens next.
    """

    type: Literal["hours"] = "hours"
    queue: Slug
    on: HoursEdges


class NeighbourhoodWording(Wording):
    """Heard like: `city` [name press.1] [name press.2] … · `method` · `list` [name press.1] … `more` `not_listed`."""

    city: PromptKey = "choose.city"  # "Qual é a sua cidade?"
    method: PromptKey = "choose.method"  # "Para ouvir a lista, digite 1; primeiras letras, 2; CEP, 3"
    method_short: PromptKey = "choose.method.short"
    list: PromptKey = "choose.list"  # "Ouça os bairros e digite o número do seu"
    press: tuple[PromptKey, ...] = Field(
        default=("choose.press_1", "choose.press_2", "choose.press_3", "choose.press_4", "choose.press_5"),
        min_length=5,
        max_length=5,
    )  # "digite um": spoken after the name
    more: PromptKey = "choose.more"  # "Para mais opções, digite 6"
    not_listed: PromptKey = "choose.not_listed"  # "Se o seu bairro não está aqui, digite 8"
    not_listed_short: PromptKey = "choose.not_listed.short"
    letters: PromptKey = "choose.letters"  # "Digite as primeiras letras do bairro e termine com jogo da velha"
    letters_short: PromptKey = "choose.letters.short"
    letters_none: PromptKey = "choose.letters_none"  # "Nenhum bairro começa com essas letras"
    cep: PromptKey = "choose.cep"  # "Digite os oito números do CEP"
    cep_none: PromptKey = "choose.cep_none"  # "Não encontrei esse CEP"


class NeighbourhoodEdges(Part):
    covered: NodeKey
    planned: NodeKey
    none: NodeKey
    not_found: NodeKey
    failed: NodeKey


class ChooseNeighbourhood(Asking):
    """Finds the caller's neighbourhood: city (skipped when there is one) → list in pages of five, letters, or CEP.

    Keys heard: in a list `1`-`5` choose, `6` more, `8` "mine is not here" (edge `not_found`); at the method question
    `1` list, `2` letters, `3` CEP. Back goes one question back inside the node. A city with five or fewer goes straight
    to the list. Leaves the facts `city` (id, name, prompt) and `neighbourhood` (id, name, prompt, status, forecast_on).
    Edges by the status found: `on: {covered, planned, none, not_found, failed}`.
    """

    type: Literal["choose_neighbourhood"] = "choose_neighbourhood"
    wording: NeighbourhoodWording = NeighbourhoodWording()
    min_letters: int = Field(default=2, ge=2, le=6)
    max_letters: int = Field(default=6, ge=2, le=12)
    filler: PromptKey = "system.one_moment"
    on: NeighbourhoodEdges


class PlanWording(Wording):
    """Heard like: `intro`, three times (`option_n`, name, `price`, money, `per_month`, `setup`, money | `setup_free`,
    conditions), then `send`, `more`, `sales`, `done`."""

    intro: PromptKey = "plans.intro"  # "Estes são os planos do seu bairro"
    option: tuple[PromptKey, ...] = Field(
        default=("plans.option_1", "plans.option_2", "plans.option_3"), min_length=3, max_length=3
    )  # "Opção um"
    price: PromptKey = "plans.price"  # "por"
    per_month: PromptKey = "plans.per_month"  # "por mês"
    setup: PromptKey = "plans.setup"  # "instalação"
    setup_free: PromptKey = "plans.setup_free"  # "instalação grátis"
    send: PromptKey = "plans.send"  # "Para receber uma opção por mensagem, digite o número dela"
    more: PromptKey = "plans.more"  # "Para ouvir mais planos, digite 4"
    sales: PromptKey = "plans.sales"  # "Para falar com vendas, digite 5"
    done: PromptKey = "plans.done"  # "Para terminar, digite 6"
    send_short: PromptKey = "plans.send.short"
    more_short: PromptKey = "plans.more.short"
    sales_short: PromptKey = "plans.sales.short"
    done_short: PromptKey = "plans.done.short"


class PlanEdges(Part):
    """Four answers that must not be taken for each other: sent, not sent, nothing on sale, and "we do not know"."""

    sent: NodeKey
    number: NodeKey  # the caller's number is not a mobile: collect one into `contact_phone`, then a `send_plans` node
    sales: NodeKey
    done: NodeKey
    none: NodeKey
    failed: NodeKey  # the plans could not be looked up
    not_sent: NodeKey | None = None  # the message could not be written down; missing: `failed`


class OfferPlans(Asking):
    """Speaks the plans of the fact `neighbourhood` for the fact `audience` (`home`, `business`), three in a breath.

    Keys: `1`-`3` "send me this" (fact `plan`; sent by message to the caller's mobile), `4` more, `5` talk to sales,
    `6` done. Edges: `on: {sent, number, sales, done, none, failed, not_sent}`; `none` when nothing is offered there,
    `failed` when nobody could say, `not_sent` when the message could not be queued.
    """

    type: Literal["offer_plans"] = "offer_plans"
    wording: PlanWording = PlanWording()
    filler: PromptKey = "system.one_moment"
    on: PlanEdges


class SendPlans(BaseNode):
    """Sends the fact `plan` (or all `plan_ids` heard) by message to `contact_phone`, else to the caller."""

    type: Literal["send_plans"] = "send_plans"
    next: NodeKey
    failed: NodeKey


class ProofEdges(Part):
    queued: NodeKey
    no_mobile: NodeKey
    failed: NodeKey


class Proof(BaseNode):
    """Sends the proof of the fact `ticket` (what, when, protocol) by message to `contact_phone`, else to the caller;
    without a ticket the call's protocol.

    A cancellation must be followed by one (law). Edges: `on: {queued, no_mobile, failed}`; without a mobile number the
    protocol, spoken, is the proof.
    """

    type: Literal["proof"] = "proof"
    on: ProofEdges


class Step(Part):
    """One thing to try. After "done" the caller is asked `solved_prompts` unless `then_ask` is false. `title` is what
    attendants read beside the answer."""

    key: NodeKey
    title: str = ""
    prompts: Prompts = Field(min_length=1)
    then_ask: bool = True


class StepEdges(Part):
    solved: NodeKey
    not_solved: NodeKey


class Steps(Asking):
    """Guided first aid. Each step: prompts, then `keys_prompts` ("feito, 1; não consegui, 2; pular, 3; repetir, 0").

    After a done step `solved_prompts` ("Voltou a funcionar? Sim, 1; não, 2"). Answers are stored (fact
    `steps.<node>`, act `save_steps`), also when the caller hangs up half-way. Edges: `on: {solved, not_solved}`.
    """

    type: Literal["steps"] = "steps"
    timeout_s: float = Field(default=30.0, ge=1, le=180)  # a router takes minutes to come back
    steps: tuple[Step, ...] = Field(min_length=1)
    keys_prompts: Prompts = ("steps.keys",)
    short_keys_prompts: Prompts = ("steps.keys.short",)
    solved_prompts: Prompts = ("steps.solved",)
    on: StepEdges

    def short_keys(self) -> Prompts:
        """None for keys of the author's own that have no short words."""
        own = "keys_prompts" in self.model_fields_set and "short_keys_prompts" not in self.model_fields_set
        return () if own else self.short_keys_prompts


class Lead(BaseNode):
    """Saves the sales contact, durably, without a word; again later updates it. Phone, audience, city, neighbourhood
    and plan come from the facts. The engine closes what is still `new` or `interested`: `forwarded` when the caller
    goes to a person (queue, callback, message, ticket) about sales, `abandoned` when the call ends otherwise."""

    type: Literal["lead"] = "lead"
    status: Literal["new", "interested", "informed", "proposal", "waiting", "not_covered"] = "interested"
    wants_message: bool = False
    next: NodeKey
    failed: NodeKey


class WaitingList(BaseNode):
    """Puts the caller on the waiting list of the fact `neighbourhood`."""

    type: Literal["waiting_list"] = "waiting_list"
    next: NodeKey
    failed: NodeKey


class Ticket(BaseNode):
    """Opens a ticket; leaves the fact `ticket` (ticket_id, protocol). `summary` is Portuguese, for the attendant."""

    type: Literal["ticket"] = "ticket"
    category: Literal["complaint", "cancellation", "support", "billing", "sales", "fallback", "message"]
    summary: str = Field(min_length=1, max_length=200)
    queue: Slug
    next: NodeKey
    failed: NodeKey


class Callback(BaseNode):
    """Asks the house to ring the caller back, not before the fact `opening.opens_at` when the queue is closed."""

    type: Literal["callback"] = "callback"
    queue: Slug
    next: NodeKey
    failed: NodeKey


class Message(BaseNode):
    """Records what the caller says after the tone. `empty`: nothing was said. The person key ends it at once, also in
    the middle of what is said, which is kept; the repeat and the back key throw it away."""

    type: Literal["message"] = "message"
    prompts: Prompts = Field(min_length=1)
    tone: Prompts = ("tone.record",)
    max_s: int = Field(default=120, ge=5, le=600)
    next: NodeKey
    empty: NodeKey
    failed: NodeKey

    def edges(self) -> Iterator[tuple[str, str]]:
        yield from super().edges()
        yield "empty", self.empty


class QueueEdges(Part):
    timeout: NodeKey
    empty: NodeKey
    full: NodeKey
    key: NodeKey
    failed: NodeKey


class Queue(BaseNode):
    """Hands the call to a person. The flow goes on at `on: {timeout, empty, full, key, failed}` if Asterisk gives the
    caller back (`key`: the caller pressed a key to leave). `prompts` are heard before; never advertising (law).
    A caller with the fact `frustrated` enters one priority higher."""

    type: Literal["queue"] = "queue"
    ends: ClassVar[bool] = True
    queue: Slug
    priority: int = Field(default=0, ge=0, le=20)
    prompts: Prompts = ()
    on: QueueEdges


class Survey(Asking):
    """One question answered with one key of `values` (`0`, `*`, `9` are not free); silence goes on unanswered."""

    type: Literal["survey"] = "survey"
    question: Slug
    prompts: Prompts = Field(min_length=1)
    values: str = Field(default="12345", pattern=r"^[1-8]+$")
    next: NodeKey

    def on_silence(self) -> Retry:
        return self.no_input or Retry(tries=1, next=self.next)

    def on_wrong_key(self) -> Retry:
        return self.invalid or Retry(next=self.next)


class Subflow(BaseNode):
    """Goes through another flow and comes back to `next` when that one reaches an `end` with `returns: true`."""

    type: Literal["subflow"] = "subflow"
    flow: Slug
    next: NodeKey


class Protocol(BaseNode):
    """Speaks the protocol number in groups. Once a call: passing again is silent, unless `again: true`.

    Must lie after the first choice and before anything that can end the call, also on the way from the person node.
    """

    type: Literal["protocol"] = "protocol"
    prompts: Prompts = ("protocol.intro", Slot(say="protocol", of="protocol"))
    short_prompts: Prompts = ()
    again: bool = False
    next: NodeKey


class End(BaseNode):
    """Says goodbye and hangs up; or, in a subflow with `returns: true`, goes back to the flow that called it. The
    universal keys are heard until the line is down."""

    type: Literal["end"] = "end"
    ends: ClassVar[bool] = True
    prompts: Prompts = ()
    reason: Literal["done", "failed"] = "done"
    returns: bool = False


Node = Annotated[
    Menu
    | Say
    | Collect
    | Branch
    | LookupNode
    | Hours
    | ChooseNeighbourhood
    | OfferPlans
    | SendPlans
    | Proof
    | Steps
    | Lead
    | WaitingList
    | Ticket
    | Callback
    | Message
    | Queue
    | Survey
    | Subflow
    | Protocol
    | End
    | Identify
    | Diagnose
    | HearOutage
    | Outage
    | SessionReset
    | ErpTicket
    | Invoices
    | SendInvoice
    | ReadLine
    | TrustUnlock
    | Promise
    | Dispute
    | ContinueTicket
    | TicketMessage
    | TicketComplaint
    | StillDown
    | VisitMove,
    Field(discriminator="type"),
]


class UniversalKeys(Part):
    """Keys the engine answers itself, in every question. Three different ones; 1 to 8 belong to the nodes."""

    repeat: Literal["0", "9", "*"] = "0"
    back: Literal["0", "9", "*"] = "*"
    person: Literal["0", "9", "*"] = "9"


class Limits(Part):
    """`steps`: effects one call may cause in all; when spent it goes to the fallback queue."""

    steps: int = Field(default=400, ge=20, le=5000)


class Fallback(Part):
    """Where a call goes when the flow itself cannot say: the budget is spent, or a node breaks.

    `protocol` is spoken first if it has not been given; then the queue; if nobody answers there, `goodbye`.
    """

    queue: Slug = "l1"
    prompts: Prompts = ("system.transferring",)
    protocol: Prompts = ("protocol.intro", Slot(say="protocol", of="protocol"))
    goodbye: Prompts = ("system.goodbye",)
    no_input: Prompts = ("system.no_input",)
    invalid: Prompts = ("system.invalid",)


class Flow(Part):
    """A whole flow document. `person` is the node that the person key leads to, from every node."""

    schema_version: Literal[1] = 1
    key: Slug
    title: str = Field(min_length=1)
    start: NodeKey
    person: NodeKey
    keys: UniversalKeys = UniversalKeys()
    limits: Limits = Limits()
    fallback: Fallback = Fallback()
    nodes: tuple[Node, ...] = Field(min_length=1)
