from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from ura.db import Base


class PlanOffer(Base):
    """This plan can be had in this neighbourhood."""

    __tablename__ = "plan_offer"

    neighbourhood_id: Mapped[int] = mapped_column(ForeignKey("neighbourhood.id", ondelete="CASCADE"), primary_key=True)
    plan_id: Mapped[int] = mapped_column(ForeignKey("plan.id", ondelete="CASCADE"), primary_key=True, index=True)
