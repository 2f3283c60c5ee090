"""What people put on a shopping list: HA leaves that open, but a recogniser can only hear words that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ENGLISH: Final = (
    "apples,avocados,bacon,bananas,batteries,beans,beef,beer,biscuits,blueberries,bread,broccoli,butter,"
    "cabbage,cake,carrots,cat food,celery,cereal,cheese,chicken,chocolate,coffee,cookies,corn,crackers,cream,"
    "cucumber,detergent,diapers,dish soap,dog food,eggs,fish,flour,garlic,ginger,grapes,ham,honey,ice cream,"
    "jam,ketchup,lemons,lettuce,light bulbs,limes,mayonnaise,milk,mushrooms,mustard,nuts,oats,oil,olive oil,"
    "onions,orange juice,oranges,paper towels,pasta,peanut butter,pears,peas,pepper,peppers,pizza,pork,"
    "potatoes,rice,salad,salmon,salt,sausages,shampoo,soap,soup,spinach,strawberries,sugar,tea,tissues,"
    "toilet paper,tomatoes,toothpaste,tuna,turkey,vinegar,water,wine,yoghurt,yogurt,zucchini"
)

ITEMS: Final[Mapping[str, tuple[str, ...]]] = {"en": tuple(_ENGLISH.split(","))}
