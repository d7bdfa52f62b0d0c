"""Node kinds for callers whom we may know: who it is, how the line is, what is owed, what can be done about it.

Conventions that hold for all of them
* What they know comes from the provider's system, which may be slow: after a second the caller hears `filler`, then
  `still` every four seconds. What it did not say is never guessed: every kind has an edge `failed`.
* They speak of the fact `contract`, which `identify` leaves. How sure we must be of who is calling is in `ura.privacy`,
  not in the flow: a node that is reached with less goes to `failed` and tells nothing.
* What they change is asked for durably, with the protocol, before anything is said: `queued` is the edge of a wish that
  is written down and not yet granted.
"""

from typing import ClassVar, Literal

from pydantic import Field

from ura.flows.parts import Asking, BaseNode, Declinable, FactPath, NodeKey, Part, PromptKey, Retry, Wording
from ura.privacy import Wish

PRESS = Field(
    default=("choose.press_1", "choose.press_2", "choose.press_3", "choose.press_4", "choose.press_5"),
    min_length=5,
    max_length=5,
)


class AsksErp(BaseNode):
    """Base: a node that may have to wait for another system."""

    filler: PromptKey = "system.one_moment"
    still: PromptKey = "system.still_looking"


# -- who


class IdentifyWording(Wording):
    """Heard like: `street` (Rua das Acácias) `street_keys` · `how` · `cpf` · … · `which` (Rua …) press.1 … `other`."""

    street: PromptKey = "identify.street"  # "O seu número está no contrato deste endereço:"
    street_keys: PromptKey = "identify.street_keys"  # "É sobre ele? Sim, digite um. Não, digite dois."
    tail: PromptKey = "identify.tail"  # "Contrato de final", before digits, where no street can be spoken
    how: PromptKey = "identify.how"  # "CPF, digite um. CNPJ, dois. Número do contrato, três. …"
    how_short: PromptKey = "identify.how.short"
    cpf: PromptKey = "identify.cpf"
    cnpj: PromptKey = "identify.cnpj"
    contract: PromptKey = "identify.contract"
    not_found: PromptKey = "identify.not_found"  # unknown, malformed, locked: the same sentence
    factor: PromptKey = "identify.factor"  # "… o ano de nascimento … ou os quatro últimos números de um telefone …"
    factor_short: PromptKey = "identify.factor.short"
    factor_company: PromptKey = "identify.factor_company"
    factor_wrong: PromptKey = "identify.factor_wrong"
    which: PromptKey = "identify.which"  # "Qual é o contrato?"
    press: tuple[PromptKey, ...] = PRESS
    more: PromptKey = "choose.more"
    other: PromptKey = "identify.other"  # "Se não é nenhum desses, digite oito."


class IdentifyEdges(Part):
    identified: NodeKey
    declined: NodeKey  # would not say who is calling; everything that needs no name still works
    missed: NodeKey  # two wrong answers, or too many from this number today: a person
    failed: NodeKey  # nobody could be asked


class Identify(Declinable, AsksErp):
    """Who is calling, and about which contract? Leaves the facts `subscriber` (id, level, kind, contracts), `contract`
    and `contracts`. Passing again with enough known is silent: nothing keyed once is asked again.

    `level`: how sure the next nodes need to be: `number` (the caller's number, confirmed by the street), `document`
    (CPF or CNPJ by keys), `verified` (and a birth year, or the last four digits of another registered phone). A
    contract's number is for who cannot key a CNPJ with letters; it is followed by the second factor.

    Keys: at the street `1` yes, `2` no; at `how` `1` CPF, `2` CNPJ, `3` contract, `4` go on without; in a list of
    contracts `1`-`5`, `6` more, `8` none of these. Digits keyed are never written down. Silence means `declined`.
    """

    type: Literal["identify"] = "identify"
    timeout_s: float = Field(default=8.0, ge=1, le=30)
    level: Literal["number", "document", "verified"] = "number"
    wording: IdentifyWording = IdentifyWording()
    on: IdentifyEdges

    def on_wrong_key(self) -> Retry:
        return self.invalid or Retry(next=self.on.missed)


# -- how is the line


class DiagnoseEdges(Part):
    blocked: NodeKey  # for debt
    suspended: NodeKey  # for another reason: a person has to look
    outage: NodeKey
    los: NodeKey  # no light arrives: nothing that the caller can do
    no_session: NodeKey  # light, but no session: the router is off, or does not get in
    weak: NodeKey
    good: NodeKey
    unknown: NodeKey  # asked, and nobody could say
    failed: NodeKey


class Diagnose(AsksErp):
    """Looks at the line of the fact `contract`, without a word: blocked, outage, session, light, in this order.

    Leaves the facts `diagnosis` (verdict, …) and, on edge `outage`, `outage`.
    """

    type: Literal["diagnose"] = "diagnose"
    wish: ClassVar[Wish | None] = Wish.SUPPORT
    on: DiagnoseEdges


class OutageWording(Wording):
    """Heard like: `intro`, the cause if one is known, `estimate` (moment) | `no_estimate`; or `again`; then `offer`;
    `number`, `other_number`."""

    intro: PromptKey = "outage.intro"
    again: PromptKey = "outage.again"  # "É aquela falha de que te falei."
    estimate: PromptKey = "outage.estimate"
    no_estimate: PromptKey = "outage.no_estimate"
    offer: PromptKey = "outage.offer"  # "Quer que eu te avise quando voltar? Sim, um. Não, dois."
    number: PromptKey = "outage.number"  # "No número de que você está ligando? Sim, um. Em outro, dois."
    other_number: PromptKey = "outage.other_number"


class OutageEdges(Part):
    subscribed: NodeKey
    declined: NodeKey
    failed: NodeKey


class Outage(Declinable):
    """Tells the outage of the fact `outage`: cause, and when it should end; ties the call to it, so that nobody opens
    a ticket for it; offers to tell the caller when it is over, on a number that is confirmed. What the fact
    `outage_told` says was told in this call is only called to mind, and who wants the news is not asked again.

    Keys: `1` yes, `2` no; for the number `1` this one, `2` another.
    """

    type: Literal["outage"] = "outage"
    wording: OutageWording = OutageWording()
    on: OutageEdges


class HearOutage(BaseNode):
    """Ties the call to the outage of the fact `of` (a `outage_for_caller`), before it is told: whoever hangs up on
    hearing it has called about it, too."""

    type: Literal["hear_outage"] = "hear_outage"
    of: FactPath
    next: NodeKey


class SessionWording(Wording):
    consent: PromptKey = "session.consent"  # "Posso reiniciar a sua conexão daqui? …  Sim, um. Não, dois."
    waiting: PromptKey = "session.waiting"  # "Reiniciando. Vou esperar ela voltar."
    consent_device: PromptKey = "session.consent_device"  # "Posso reiniciar o seu aparelho daqui? …"
    waiting_device: PromptKey = "session.waiting_device"  # "… isso leva uns dois minutos."


class SessionEdges(Part):
    online: NodeKey
    offline: NodeKey
    declined: NodeKey
    failed: NodeKey  # not done, or not known whether it was


class SessionReset(Declinable, AsksErp):
    """Ends the contract's session in the network, if the caller agrees, and looks in the call whether it comes back.
    Where only the device can be restarted (`diagnosis.restart` is `device`), that is what the caller is asked for, and
    `recheck_device_s` how long it may take."""

    type: Literal["session_reset"] = "session_reset"
    wish: ClassVar[Wish | None] = Wish.SUPPORT
    wording: SessionWording = SessionWording()
    recheck_s: float = Field(default=30.0, ge=5, le=90)
    recheck_device_s: float = Field(default=120.0, ge=30, le=180)
    on: SessionEdges


class ErpTicketEdges(Part):
    opened: NodeKey
    queued: NodeKey
    failed: NodeKey


class ErpTicket(AsksErp):
    """Opens a ticket, or a visit, for the fact `contract` in the provider's system. `subject` and `text` are
    Portuguese, for who reads them there.

    Leaves the fact `erp_ticket`: `reference`, and of a visit `until`, for a slot: the moment at which somebody has
    worked `within_hours`, by the opening hours of the queue `hours_of`; null when nobody knows.
    """

    type: Literal["erp_ticket"] = "erp_ticket"
    wish: ClassVar[Wish | None] = Wish.SUPPORT
    what: Literal["ticket", "visit"] = "ticket"
    subject: str = Field(min_length=1, max_length=100)
    text: str = Field(default="", max_length=300)
    within_hours: int = Field(default=16, ge=1, le=240)
    hours_of: str = Field(default="l1", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    on: ErpTicketEdges


# -- what is owed


class InvoicesWording(Wording):
    """Heard like: `there_are` (count) `many` | `one`; `overdue` | `due` (date) `amount` (money); keys. To a caller who
    is not verified only `found` and keys: neither amounts nor days."""

    one: PromptKey = "invoices.one"
    there_are: PromptKey = "invoices.there_are"
    many: PromptKey = "invoices.many"
    overdue: PromptKey = "invoices.overdue"
    due: PromptKey = "invoices.due"
    amount: PromptKey = "invoices.amount"
    disputed: PromptKey = "invoices.disputed"
    found: PromptKey = "invoices.found"
    send: PromptKey = "invoices.send"  # "Para receber por mensagem, digite um."
    read: PromptKey = "invoices.read"  # "Para ouvir o código de barras, digite dois."
    verify: PromptKey = "invoices.verify"  # "Para ouvir o valor e o código, digite dois. …"
    following: PromptKey = "invoices.following"  # "Para a próxima fatura, digite três."
    dispute: PromptKey = "invoices.dispute"  # "Se não concorda com essa cobrança, digite quatro."
    done: PromptKey = "invoices.done"  # "Para outro assunto, digite cinco."


class InvoicesEdges(Part):
    send: NodeKey
    read: NodeKey
    verify: NodeKey
    dispute: NodeKey
    done: NodeKey
    none: NodeKey  # the system said, readably, that nothing is open
    failed: NodeKey
    unsupported: NodeKey | None = None  # this provider's system cannot say; missing: `failed`


class Invoices(Asking, AsksErp):
    """Speaks the open invoices of the fact `contract`, overdue first, one at a time.

    Keys: `1` send it, `2` read its code (or, when we are not sure enough who is calling, `verify`), `3` the next one,
    `4` "I do not agree", `5` something else. Leaves the fact `invoice`. A failure is never "no debt".
    """

    type: Literal["invoices"] = "invoices"
    wish: ClassVar[Wish | None] = Wish.SEND_TO_REGISTERED
    wording: InvoicesWording = InvoicesWording()
    on: InvoicesEdges


class SendInvoiceWording(Wording):
    """Heard like: `intro`, `sms` (digits) press.1, `whatsapp` (digits) press.2, `email` press.3, `other`."""

    intro: PromptKey = "send_invoice.intro"
    sms: PromptKey = "send_invoice.sms"  # "Por mensagem de texto, para o celular de final"
    whatsapp: PromptKey = "send_invoice.whatsapp"
    email: PromptKey = "send_invoice.email"  # "Por e-mail, para o endereço do cadastro,"
    press: tuple[PromptKey, ...] = PRESS
    other: PromptKey = "send_invoice.other"  # "Se não pode ser nenhum desses, digite oito."


class SendInvoiceEdges(Part):
    sent: NodeKey  # the gateway confirmed it
    queued: NodeKey  # written down; not confirmed in time
    no_address: NodeKey  # nothing is registered, or none of it is right
    failed: NodeKey


class SendInvoice(Asking, AsksErp):
    """Sends the fact `invoice` to an address that was registered before the call, masked and chosen by key, and waits
    for the gateway's word. `channel: any`, or only those that can carry a PIX text comfortably: `sms`, `whatsapp`.

    `oldest`: not the one that was chosen but the oldest that is open when the message goes out. It is what can be
    promised while the provider's system is away; nobody waits for the gateway then (`queued`)."""

    type: Literal["send_invoice"] = "send_invoice"
    wish: ClassVar[Wish | None] = Wish.SEND_TO_REGISTERED
    filler: PromptKey = "system.sending"
    still: PromptKey = "system.still_sending"
    oldest: bool = False
    wording: SendInvoiceWording = SendInvoiceWording()
    on: SendInvoiceEdges


class ReadLineWording(Wording):
    """Heard like: `intro`, then block after block; `paused`; at the end `end`."""

    intro: PromptKey = "read_line.intro"  # "Um continua já, dois espera, três manda por mensagem. …"
    paused: PromptKey = "read_line.paused"  # "Estou esperando. Para continuar, digite um."
    end: PromptKey = "read_line.end"  # "Esse foi o código todo. Para ouvir de novo, um. …"


class ReadLineEdges(Part):
    done: NodeKey
    send: NodeKey
    failed: NodeKey  # not to be had, or with a wrong check digit: then none of it is read


class ReadLine(Asking, AsksErp):
    """Reads the line of the fact `invoice`, in short blocks. `timeout_s` is the pause after each.

    Keys: `1` the next block now, `2` wait for me, `3` send it by message instead (PIX, too); the repeat key says the
    block again, the back key goes one block back.
    """

    type: Literal["read_line"] = "read_line"
    wish: ClassVar[Wish | None] = Wish.HEAR_LINE
    timeout_s: float = Field(default=4.0, ge=1, le=30)
    pause_s: float = Field(default=60.0, ge=5, le=180)
    wording: ReadLineWording = ReadLineWording()
    on: ReadLineEdges

    def on_silence(self) -> Retry:
        return self.no_input or Retry(next=self.on.done)


class UnlockWording(Wording):
    """One sentence for each answer of the provider's system; `granted` and `already_active` before a moment, `…_day`
    before the day at whose end it is over, `…_now` when it is not known until when."""

    confirm: PromptKey = "unlock.confirm"  # "Posso liberar agora, em confiança. … Sim, um. Não, dois."
    later: PromptKey = "unlock.later"  # "O sistema não respondeu agora … Posso deixar o pedido anotado? …"
    granted: PromptKey = "unlock.granted"
    granted_day: PromptKey = "unlock.granted_day"
    granted_now: PromptKey = "unlock.granted_now"
    already_active: PromptKey = "unlock.already_active"
    already_active_day: PromptKey = "unlock.already_active_day"
    already_active_now: PromptKey = "unlock.already_active_now"
    used_this_period: PromptKey = "unlock.used_this_period"
    not_blocked: PromptKey = "unlock.not_blocked"
    blocked_other_reason: PromptKey = "unlock.blocked_other_reason"
    policy_refused: PromptKey = "unlock.policy_refused"
    unknown_contract: PromptKey = "unlock.unknown_contract"


class UnlockEdges(Part):
    granted: NodeKey
    refused: NodeKey  # the reason has been spoken
    declined: NodeKey
    queued: NodeKey
    failed: NodeKey
    unsupported: NodeKey | None = None


class TrustUnlock(Declinable, AsksErp):
    """Unlocks the fact `contract` on trust. First it is asked whether that may be, and why not is spoken; then the
    caller agrees (it is given once in a while only); then it is done, and until when is spoken. While nobody can say
    whether it may be, the caller may leave the wish (`later`)."""

    type: Literal["trust_unlock"] = "trust_unlock"
    wish: ClassVar[Wish | None] = Wish.UNLOCK
    wording: UnlockWording = UnlockWording()
    on: UnlockEdges


class PromiseWording(Wording):
    """Heard like: `intro` (date) press.1 (date) press.2 … `other`; then `accepted` (date)."""

    intro: PromptKey = "promise.intro"
    press: tuple[PromptKey, ...] = PRESS
    other: PromptKey = "promise.other"  # "Se não pode ser em nenhum desses dias, digite oito."
    accepted: PromptKey = "promise.accepted"


class PromiseEdges(Part):
    promised: NodeKey
    refused: NodeKey  # the policy says no
    declined: NodeKey
    queued: NodeKey
    failed: NodeKey
    unsupported: NodeKey | None = None


class Promise(Declinable, AsksErp):
    """Takes a promise to pay the fact `contract`'s debt on a day of a menu: those that the provider's policy allows.
    Leaves the fact `promise` (`on`)."""

    type: Literal["promise"] = "promise"
    wish: ClassVar[Wish | None] = Wish.PROMISE
    wording: PromiseWording = PromiseWording()
    on: PromiseEdges


class Dispute(BaseNode):
    """The caller does not agree with the fact `invoice`: opens a complaint about it, and stops its reminders.
    Leaves the fact `ticket`. `summary` is Portuguese, for the attendant."""

    type: Literal["dispute"] = "dispute"
    wish: ClassVar[Wish | None] = Wish.DISPUTE
    summary: str = Field(min_length=1, max_length=200)
    queue: str = Field(default="l1", pattern=r"^[a-z0-9][a-z0-9_-]*$")
    next: NodeKey
    failed: NodeKey
