"""The page on which people read what openapi.json says."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse

from api import pages, reference
from api.deps import OpenToAll

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
async def show(
    request: Request, _open: Annotated[None, Depends(OpenToAll("says what openapi.json says, and holds no data"))]
) -> HTMLResponse:
    document = request.app.openapi()
    return pages.page(
        request,
        "reference.html",
        info=document["info"],
        groups=reference.groups(document),
        shapes=reference.shapes(document),
        schemes=document["components"]["securitySchemes"],
    )
