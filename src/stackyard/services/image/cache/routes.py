"""The cache's calls."""

from __future__ import annotations

from stackyard.core.routes import Route
from stackyard.services.image import images
from stackyard.services.image.cache import operations

_ENTRY = "/v2/cache/{image_id}"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/v2/cache", operations.list_, "cache_list"),
    Route("DELETE", "/v2/cache", operations.clear, "cache_delete", status=204),
    Route("POST", "/v2/cache/clean", operations.clean, "cache_clean", edge=True),
    Route("POST", "/v2/cache/prune", operations.prune, "cache_prune", edge=True),
    Route("PUT", _ENTRY, operations.queue, "cache_image", target=images.load, status=202),
    Route("DELETE", _ENTRY, operations.delete, "cache_delete", target=operations.load_entry, status=204),
)
