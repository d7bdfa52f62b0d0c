"""Settings: the only reader of the environment. Every name is `PROSA_` + the field's name in capitals."""

from contextlib import suppress
from functools import cached_property
from pathlib import Path
from secrets import token_urlsafe
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """One installation. Durations carry their unit; every address is loopback unless somebody says otherwise."""

    model_config = SettingsConfigDict(env_prefix="PROSA_", extra="ignore")

    environment: Literal["development", "production"] = "development"
    state_dir: Path = ROOT / "var"
    database_url: str = ""
    node: int = Field(default=0, ge=0, le=9, description="number of this node; part of every protocol number")
    time_zone: str = "America/Sao_Paulo"
    state_uf: str = Field(default="SP", pattern="^[A-Z]{2}$", description="state whose holidays are kept")

    sip_host: str = "127.0.0.1"
    sip_port: int = 5060
    rtp_first_port: int = 20000
    rtp_last_port: int = 21999
    trunk_hosts: str = Field(default="127.0.0.1", description="addresses that may send calls, comma between")
    max_calls: int = Field(default=250, description="calls that Asterisk accepts; one more gets 503")

    queue_max_callers: int = Field(default=30, ge=1, description="callers who may wait in one queue; one more hears so")
    queue_ring_s: int = Field(default=20, ge=3, description="an attendant's phone rings so long before the next one's")
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
    tts_engines: str = Field(default="recorded,gtts,kokoro,espeak", description="order in which engines are tried")
    drain_s: int = Field(default=30, ge=0, description="at a stop, calls in progress get so long to end")
    sms_url: str = Field(default="", description="generic HTTP SMS gateway; empty: messages wait in the outbox")
    log_level: str = "INFO"

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

    @property
    def former_secret_keys(self) -> list[str]:
        """What documents may still be sealed with (ura/crypto.py)."""
        return [key.strip() for key in self.secret_keys_before.get_secret_value().split(",") if key.strip()]

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

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


def load() -> Settings:
    """Read and check the environment. Raises pydantic.ValidationError naming the setting that is wrong."""
    return Settings()
