"""The images that can be baked: one recipe each, as data."""

from __future__ import annotations

import msgspec

from stackyard.bake import mysql, nginx, wordpress
from stackyard.bake.recipe import PATH, Recipe

BUSYBOX = Recipe(name="busybox", packages=("busybox-static",), config={"Cmd": ["sh"], "Env": [PATH]})


def _alias(recipe: Recipe, name: str) -> Recipe:
    return msgspec.structs.replace(recipe, name=name)


# cirros is what tests written against the well-known images run as their smallest one.
RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in (BUSYBOX, _alias(BUSYBOX, "cirros"), nginx.RECIPE, mysql.RECIPE, wordpress.RECIPE)
}
