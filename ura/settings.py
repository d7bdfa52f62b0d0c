"""Settings: the only reader of the environment. Every name is `PROSA_` + the field's name in capitals."""

import json
import os
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from ura import addresses
from ura.errors import BadInput
from ura.place import Place

ROOT = Path(__file__).resolve().parent.parent
RADIUS_DATABASES = ("postgresql+psycopg://", "mysql+aiomysql://")

ERP_NEEDS = {
    "sgp": ("erp_url", "sgp_token", "sgp_app"),
    "hubsoft": ("erp_url", "hubsoft_client_id", "hubsoft_client_secret", "hubsoft_user", "hubsoft_password"),
    "ixc": ("erp_url", "ixc_token"),
    "mkauth": ("erp_url", "mkauth_client_id", "mkauth_client_secret"),
}
# The first is nothing without the second.
NEEDS = (
    ("sms_status_path", "sms_url"),
    ("sms_status_path", "sms_taken_words"),  # a word in no list: try later, for ever
    ("sms_taken_words", "sms_status_path"),
    ("sms_refused_words", "sms_status_path"),
    ("sms_unknown_words", "sms_status_path"),
    ("zenvia_token", "zenvia_from"),
    ("zenvia_from", "zenvia_token"),
    ("whatsapp_token", "whatsapp_phone_id"),
    ("whatsapp_phone_id", "whatsapp_token"),
    ("whatsapp_app_secret", "whatsapp_verify_token"),
    ("whatsapp_verify_token", "whatsapp_app_secret"),
    ("smtp_host", "mail_from"),
    ("mail_from", "smtp_host"),
    ("smtp_user", "smtp_host"),
    ("smtp_user", "smtp_password"),
    ("smtp_password", "smtp_user"),
    ("radius_coa_secret", "radius_accounting_url"),
)


class Settings(BaseSettings):
    """One installation. Durations carry their unit; every address is loopback unless somebody says otherwise."""

    model_config = SettingsConfigDict(env_prefix="PROSA_", extra="ignore", hide_input_in_errors=True)

    environment: Literal["development", "production"] = "development"
    state_dir: Path = ROOT / "var"
    database_url: str = ""
    node: int = Field(default=0, ge=0, le=9, description="number of this node; part of every protocol number")
    time_zone: str = "America/Sao_Paulo"
    state_uf: str = Field(default="SP", pattern="^[A-Z]{2}$", description="state whose holidays are kept")

    identify_misses: int = Field(default=10, ge=1, description="documents that one caller may miss in 24 hours")
    identify_alarm_misses: int = Field(default=30, ge=1, description="misses of all callers in 5 minutes: an alarm")
    identify_total_misses: int = Field(default=100, ge=1, description="misses of all callers in 5 minutes: nobody more")
    unlock_days: int = Field(default=3, ge=1, le=30, description="a trust unlock lasts so long")
    unlock_oldest_debt_days: int = Field(default=60, ge=1, description="older debts: no trust unlock")
    promise_days: int = Field(default=10, ge=1, le=60, description="a promise of payment may be so far ahead")
    ticket_reopen_days: int = Field(default=7, ge=0, le=90, description="so long after closing a ticket is reopened")
    visit_changes: int = Field(default=2, ge=0, le=20, description="so often a customer may put a visit off")
    visit_notice_hours: float = Field(default=4.0, ge=0, le=168, description="and so long before it at the latest")
    broken_promise_days: int = Field(default=30, ge=0, le=365, description="after a broken one a person agrees")

    access_alarm_records: int = Field(default=500, ge=1, description="people's records one person opens in an hour")
    api_requests_per_minute: int = Field(default=1200, ge=0, description="of one token or person; 0: any number")
    source_requests_per_minute: int = Field(default=6000, ge=0, description="of one address; 0: any number")

    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    rtp_first_port: int = 20000
    rtp_last_port: int = 21999
    trunk_hosts: str = Field(default="127.0.0.1", description="addresses that may send calls, comma between")
    max_calls: int = Field(default=250, description="calls that Asterisk accepts; one more gets 503")

    queue_max_callers: int = Field(default=30, ge=1, description="callers who may wait in one queue; one more hears so")
    queue_ring_s: int = Field(default=20, ge=3, description="an attendant's phone rings so long before the next one's")
    queue_wrap_up_s: int = Field(default=5, ge=0, description="an attendant's phone rests so long after a conversation")
    queue_announce_s: int = Field(default=60, ge=5, description="a waiting caller hears the place again so often")
    queue_offer_s: int = Field(default=40, ge=5, description="a waiting caller is offered a call back so often")

    agi_host: str = "127.0.0.1"
    agi_port: int = 4573
    agi_workers: int = Field(default=2, ge=1, le=16)
    agi_max_calls: int = Field(default=500, description="calls one agi worker holds")
    ami_host: str = "127.0.0.1"
    ami_port: int = 5038
    ami_user: str = "prosa"
    http_host: str = "127.0.0.1"
    http_port: int = 8000

    asterisk_dir: str = Field(default="", description="private root folder with Asterisk; empty: found or installed")
    speak_meia: bool = Field(default=False, description="where digits are spoken one by one, 6 is said as half a dozen")
    tts_engines: str = Field(default="recorded,gtts,kokoro,espeak", description="order in which engines are tried")
    signal_watch_dbm: float = Field(default=-25.0, description="received power at and above which a line is well")
    signal_bad_dbm: float = Field(default=-27.0, description="received power below which a technician has to come")
    radius_accounting_url: SecretStr = Field(
        default=SecretStr(""), description="database with FreeRADIUS's radacct, as SQLAlchemy writes it; empty: none"
    )
    radius_interim_s: int = Field(default=600, ge=30, description="how often NASes tell of a session")
    radius_coa_secret: SecretStr = Field(
        default=SecretStr(""), description="secret for ending sessions at the NAS (RFC 5176); empty: not done"
    )
    radius_coa_port: int = 3799
    genieacs_url: str = Field(default="", description="north-bound interface of GenieACS; empty: none")

    drain_s: int = Field(default=30, ge=0, description="at a stop, calls in progress get so long to end")
    log_level: str = "INFO"

    erp: Literal["local", "sgp", "hubsoft", "ixc", "mkauth"] = Field(
        default="local", description="the provider's own system; local: the tables of this installation"
    )
    erp_url: str = Field(default="", description="its address: https, or http inside the provider's own network")
    erp_ca_file: Path | None = Field(default=None, description="certificate of an authority of the provider's own")
    sgp_token: SecretStr = SecretStr("")
    sgp_app: str = ""
    sgp_ticket_type: int = Field(default=5, ge=1, description="kind of occurrence that our tickets get")
    sgp_order_type: int = Field(default=0, ge=0, description="kind of occurrence that visits get; 0: as tickets")
    hubsoft_client_id: str = ""
    hubsoft_client_secret: SecretStr = SecretStr("")
    hubsoft_user: str = ""
    hubsoft_password: SecretStr = SecretStr("")
    hubsoft_unlock_days: int = Field(default=1, ge=1, le=30, description="how long a trust unlock shall hold")
    hubsoft_cep: str = Field(default="", pattern=r"^(\d{8})?$", description="of the town; plans and leads need one")
    ixc_token: SecretStr = SecretStr("")
    ixc_subject: int = Field(default=1, ge=1, description="id of the subject that tickets and visits get")
    ixc_department: int = Field(default=1, ge=1, description="id of the department that gets them")
    ixc_branch: int = Field(default=1, ge=1, description="id of the branch that visits belong to")
    mkauth_client_id: str = ""
    mkauth_client_secret: SecretStr = SecretStr("")

    provider_name: str = Field(default="Prosa Internet", min_length=1, max_length=40, description="who signs a message")
    message_first_hour: int = Field(default=8, ge=0, le=23, description="local; before it no phone rings unasked")
    message_last_hour: int = Field(default=22, ge=1, le=24, description="local; from it on no phone rings unasked")
    emergency_minutes: int = Field(default=240, ge=1, le=1440, description="so long an emergency is on, unless told")
    message_days: int = Field(default=90, ge=1, le=3650, description="so long what a message said is kept")

    recording_days: int = Field(default=90, ge=90, le=3660, description="so long a caller's recording is kept")
    contract_recording_days: int = Field(default=1826, ge=90, le=7320, description="and one that led to a contract")
    record_days: int = Field(default=1826, ge=731, le=7320, description="so long calls and closed tickets are kept")
    lead_days: int = Field(default=365, ge=30, le=3660, description="so long a sale that came to nothing is kept")

    outbound_networks: str = Field(
        default="", description="networks inside in which webhooks may be reached: 10.20.0.0/16, comma between"
    )
    cti_url: SecretStr = Field(
        default=SecretStr(""), description="helpdesk that hears of calls, with numbers (Zammad's CTI); empty: none"
    )
    public_url: str = Field(
        default="", description="where subscribers' browsers reach the API: https://ura.example; empty: no links"
    )
    sms_url: str = Field(default="", description="any SMS gateway with an HTTP API; empty: none, or Zenvia")
    sms_headers: SecretStr = Field(default=SecretStr("{}"), description="JSON: name to value")
    sms_body: str = Field(default='{"id": "{id}", "to": "{to}", "text": "{text}"}', description="JSON or a=b&c=d")
    sms_id_path: str = Field(default="id", description="where the answer has the gateway's id: messages.0.id")
    sms_status_path: str = Field(default="", description="where the answer has the gateway's word; empty: HTTP counts")
    sms_taken_words: str = Field(default="", description="words there that mean yes, comma between")
    sms_refused_words: str = Field(default="", description="words there that mean never")
    sms_unknown_words: str = Field(default="", description="words there that mean: no such number")
    sms_hook_secret: SecretStr = Field(default=SecretStr(""), description="what the gateway's webhook must know")
    sms_hook_id_path: str = Field(default="id", description="where a receipt has the gateway's id, or ours")
    sms_hook_status_path: str = Field(default="status", description="where a receipt has its word")
    sms_hook_from_path: str = Field(default="from", description="where a reply has its number")
    sms_hook_text_path: str = Field(default="text", description="where a reply has its text")
    sms_delivered_words: str = Field(default="delivered", description="words of a receipt for: it arrived")
    sms_undelivered_words: str = Field(default="undelivered,failed,rejected,expired", description="and for: it did not")

    zenvia_url: str = "https://api.zenvia.com"
    zenvia_token: SecretStr = Field(default=SecretStr(""), description="X-API-TOKEN; set: SMS goes by Zenvia")
    zenvia_from: str = Field(default="", description="the sender id of the SMS channel at Zenvia")
    zenvia_hook_secret: SecretStr = Field(default=SecretStr(""), description="header X-Prosa-Secret of its webhook")

    whatsapp_url: str = "https://graph.facebook.com/v23.0"
    whatsapp_phone_id: str = Field(default="", pattern="^[0-9]*$", description="Meta's id of our number")
    whatsapp_token: SecretStr = Field(default=SecretStr(""), description="set: WhatsApp by Meta's Cloud API")
    whatsapp_app_secret: SecretStr = Field(default=SecretStr(""), description="signs Meta's webhooks")
    whatsapp_verify_token: SecretStr = Field(default=SecretStr(""), description="ours; entered at Meta")

    smtp_host: str = Field(default="", description="set: mail by this server")
    smtp_port: int = 587
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_user: str = ""
    smtp_password: SecretStr = SecretStr("")
    mail_from: str = Field(default="", description="Provedor <nao-responda@provedor.example>")

    ami_secret: SecretStr = SecretStr("")
    secret_key: SecretStr = SecretStr("")
    secret_keys_before: SecretStr = Field(default=SecretStr(""), description="former secret keys, comma between")

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (LookupError, OSError) as error:
            raise ValueError(f"{value!r} is no time zone; America/Sao_Paulo is one") from error
        return value

    @field_validator("sms_headers")
    @classmethod
    def _headers_are_text(cls, value: SecretStr) -> SecretStr:
        try:
            headers = json.loads(value.get_secret_value())
        except ValueError:
            headers = None
        if not isinstance(headers, dict) or not all(isinstance(each, str) for each in headers.values()):
            raise ValueError('write JSON like {"Authorization": "Bearer …"}')
        return value

    @field_validator("erp_url", "genieacs_url", "public_url")
    @classmethod
    def _is_guarded(cls, value: str) -> str:
        return _guarded(value)

    @field_validator("cti_url")
    @classmethod
    def _is_a_guarded_secret(cls, value: SecretStr) -> SecretStr:
        _guarded(value.get_secret_value())
        return value

    @field_validator("outbound_networks")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        try:
            addresses.networks(value)
        except BadInput as error:
            raise ValueError(error.message) from error
        return value

    @field_validator("erp_ca_file", mode="before")
    @classmethod
    def _is_a_file(cls, value: object) -> object:
        if value and not (os.access(str(value), os.R_OK) and Path(str(value)).is_file()):
            raise ValueError("there is no such file, or it may not be read")
        return value or None

    @field_validator("radius_accounting_url")
    @classmethod
    def _is_a_database_of_radius(cls, value: SecretStr) -> SecretStr:
        if value and not value.get_secret_value().startswith(RADIUS_DATABASES):
            raise ValueError(f"it starts with {' or '.join(RADIUS_DATABASES)}")
        return value

    @model_validator(mode="after")
    def _blocks_are_whole(self) -> "Settings":
        """Half a block would be found out by the first caller, or by the first message that fails."""
        wrong = [
            f"PROSA_{here.upper()} is set, but not PROSA_{needed.upper()}"
            for here, needed in NEEDS
            if getattr(self, here) and not getattr(self, needed)
        ]
        wrong += self._missing_of_the_erp()
        if self.sms_url and self.zenvia_token:
            wrong.append("PROSA_SMS_URL and PROSA_ZENVIA_TOKEN are both set; choose one way for SMS")
        if self.public_url and self.environment == "production" and not self.secret_key:
            wrong.append("PROSA_PUBLIC_URL is set, but not PROSA_SECRET_KEY, which signs its links")
        if self.message_first_hour >= self.message_last_hour:
            wrong.append("PROSA_MESSAGE_FIRST_HOUR must be before PROSA_MESSAGE_LAST_HOUR")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _missing_of_the_erp(self) -> list[str]:
        """`local` with somebody else's token: whoever set it believes that the provider's own system is asked."""
        if self.erp != "local":
            missing = [name for name in ERP_NEEDS[self.erp] if not getattr(self, name)]
            return [f"PROSA_{name.upper()} is not set, and PROSA_ERP={self.erp} needs it" for name in missing]
        given = dict.fromkeys(name for names in ERP_NEEDS.values() for name in names if getattr(self, name))
        return [f"PROSA_{name.upper()} is set, but PROSA_ERP is local" for name in given]

    @property
    def inbox_dir(self) -> Path:
        """Messages of a development installation without gateways."""
        return self.state_dir / "inbox"

    @property
    def former_secret_keys(self) -> list[str]:
        """What documents may still be sealed with (ura/crypto.py)."""
        return [key.strip() for key in self.secret_keys_before.get_secret_value().split(",") if key.strip()]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @property
    def place(self) -> Place:
        return Place(self.zone, self.state_uf)

    @property
    def mirrors_tickets(self) -> bool:
        """Does the provider have another system that may keep tickets of its own?"""
        return self.erp != "local"

    @property
    def db_url(self) -> str:
        return self.database_url or f"sqlite+aiosqlite:///{self.state_dir}/prosa.db"

    @property
    def journal_dir(self) -> Path:
        return self.state_dir / "journal"

    @property
    def live_dir(self) -> Path:
        """Where each call in progress keeps its position, so that another agi process can go on with it."""
        return self.state_dir / "live"

    @property
    def recordings_dir(self) -> Path:
        return self.state_dir / "recordings"

    @property
    def packages_dir(self) -> Path:
        """What people asked to be given of their data (ura/person_package.py), for thirty days."""
        return self.state_dir / "packages"

    @property
    def rendered_dir(self) -> Path:
        """Audio of names and texts that admins typed; the shipped audio is in prompts/audio."""
        return self.state_dir / "prompts"

    @property
    def flows_dir(self) -> Path:
        """Last published flows, for when the database is away."""
        return self.state_dir / "flows"

    @property
    def logs_dir(self) -> Path:
        return self.state_dir / "log"

    @property
    def prompts_dir(self) -> Path:
        return ROOT / "prompts"

    def secret(self, name: Literal["ami_secret", "secret_key"]) -> str:
        """The secret from the environment; in development one is made at first use and kept under `secrets/`.

        Raises ValueError in production when it is not set: a secret that nobody chose is no secret.
        """
        given: SecretStr = getattr(self, name)
        if given.get_secret_value():
            return given.get_secret_value()
        if self.environment == "production":
            raise ValueError(f"PROSA_{name.upper()} is not set. Choose a random value of 32 characters or more.")
        file = self.state_dir / "secrets" / name
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = file.with_suffix(".new")
            made.write_text(token_urlsafe(32))
            made.chmod(0o600)
            with suppress(FileExistsError):  # another process was first: then its value counts
                file.hardlink_to(made)
            made.unlink()
        return file.read_text()

    @cached_property
    def trunks(self) -> list[str]:
        return [host.strip() for host in self.trunk_hosts.split(",") if host.strip()]


def _guarded(url: str) -> str:
    try:
        return addresses.guarded(url) if url else url
    except BadInput as error:
        raise ValueError(error.message) from error


def load() -> Settings:
    """Read and check the environment. Raises pydantic.ValidationError naming the setting that is wrong."""
    return Settings()


def load_for(door: str, *secrets: Literal["ami_secret", "secret_key"]) -> Settings:
    """The same, for a door that cannot open without these secrets. Raises SystemExit, saying what is wrong."""
    try:
        settings = load()
        for name in secrets:
            settings.secret(name)
    except ValidationError as error:
        raise SystemExit(f"{door} cannot start: {'; '.join(troubles(error))}") from error
    except ValueError as error:
        raise SystemExit(f"{door} cannot start: {error}") from error
    return settings


def troubles(error: ValidationError) -> list[str]:
    """What is wrong where; what was set is shown unless it may be a secret."""
    return [_trouble(each) for each in error.errors()]


def _trouble(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:  # about several settings, which the message names
        return message
    name = str(error["loc"][0])
    secret = Settings.model_fields[name].annotation is SecretStr or name.endswith("_url")
    return f"PROSA_{name.upper()}: {message}" + ("" if secret else f" (is {error['input']!r})")
