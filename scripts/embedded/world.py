"""A small world in plain English: people, towns, things, causes and sums, told in documents that are never the same.

Who has what and who lives where is drawn anew for each document, so that it can only be known from the document;
where towns lie, what follows from what, how verbs agree and what numbers make holds throughout and can be learned.
"""
import random

PEOPLE = (
    "Mara Tobin Elsa Corin Hanna Jory Petra Silas Wren Oskar Lida Bram Nessa Felix Greta Ivo Dalia Ruben Tilda Amos "
    "Vera Kasper Junia Milo Orla Stefan Yara Lukas Ada Henrik Bela Rosa Emil Fenna Gideon Ines"
).split()
WOMEN = set("Mara Elsa Hanna Petra Wren Lida Nessa Greta Dalia Tilda Vera Junia Orla Yara Ada Bela Rosa Fenna Ines".split())

SURNAMES = (
    "Fenwick Oakes Harrow Lindqvist Marlow Tanner Brook Ashby Quill Storm Hollis Vane Thorne Calder Pike Rowan Sedge "
    "Winter Farrow Birch Locke Merrow Stone Tully"
).split()

# Town, its river, its region, what it is known for, its market day.
TOWNS = {
    "Oldbury": ("Senn", "north", "bells", "Monday"),
    "Tarnwick": ("Senn", "north", "cheese", "Friday"),
    "Harrowgate": ("Senn", "north", "wool", "Saturday"),
    "Lowmere": ("Issel", "south", "salt", "Tuesday"),
    "Pellin": ("Issel", "south", "pears", "Thursday"),
    "Marsh End": ("Issel", "south", "reeds", "Sunday"),
    "Kestrel Bay": ("Orrin", "west", "boats", "Wednesday"),
    "Dunmoor": ("Orrin", "west", "ropes", "Monday"),
    "Saltby": ("Orrin", "west", "herring", "Friday"),
    "Ashford Mill": ("Tellow", "east", "flour", "Tuesday"),
    "Brackley": ("Tellow", "east", "glass", "Saturday"),
    "Copper Hill": ("Tellow", "east", "kettles", "Thursday"),
}
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
TRADES = "baker weaver miller sailor teacher potter smith gardener tailor farmer carpenter painter".split()
COLOURS = "red blue green yellow black white brown grey silver golden purple orange".split()
THINGS = "kite drum lamp basket violin wagon cup scarf bell hammer mirror ladder box chair book lantern".split()
FRUITS = "apples plums pears figs cherries lemons nuts melons".split()
PLURALS = {
    "key": "keys", "lamp": "lamps", "basket": "baskets", "window": "windows", "bridge": "bridges", "wagon": "wagons",
    "boat": "boats", "coat": "coats", "shelf": "shelves", "knife": "knives", "child": "children", "box": "boxes",
    "tree": "trees", "stone": "stones", "bell": "bells", "house": "houses", "barrel": "barrels", "goose": "geese",
}  # fmt: skip
QUALITIES = "heavy old clean small broken wet warm quiet strong dusty new cold".split()
RELATIONS = "near behind beside under above".split()

# What follows from what: always the same.
CAUSES = [
    ("it rained all night", "the path was muddy", "the river rose"),
    ("the sun shone for a week", "the hay was dry", "the well was low"),
    ("the wind blew from the sea", "the boats stayed in the harbour", "the flags stood out straight"),
    ("the frost came early", "the pond was hard", "the pears were spoiled"),
    ("the oven was too hot", "the bread was burnt", "the kitchen filled with smoke"),
    ("the rope was worn", "the bucket fell into the well", "the swing came down"),
    ("the lamp had no oil", "the room was dark", "nobody could read"),
    ("the gate was left open", "the goats got out", "the garden was eaten"),
    ("the clock was slow", "the coach left without them", "the shop opened late"),
    ("the roof had a hole", "the floor was wet", "the beds were moved"),
    ("the dog barked at midnight", "the whole street woke up", "the thief ran away"),
    ("the mill stood still", "there was no flour", "the baker had no bread"),
    ("the snow was deep", "the school was closed", "the wagons could not pass"),
    ("the milk was left in the sun", "the milk turned sour", "the cat would not drink"),
    ("the bridge was broken", "the carts went by the ford", "the market was empty"),
    ("the fire went out", "the soup was cold", "the room grew chilly"),
]

UNITS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty".split()

LARGEST_ADDEND = 20
# These are never told in the training text in this order of their numbers.
HELD_OUT_SUMS = frozenset(
    random.Random("sums").sample(
        [(left, right) for left in range(1, LARGEST_ADDEND + 1) for right in range(1, LARGEST_ADDEND + 1)], 100
    )
)


def number(value):
    """A whole number below 50 in words."""
    if value < 20:
        return UNITS[value]
    tens, unit = divmod(value, 10)
    return TENS[tens - 2] + (f"-{UNITS[unit]}" if unit else "")


def capital(text):
    return text[0].upper() + text[1:]


def article(word):
    return "an" if word[0] in "aeiou" else "a"


def pronoun(name):
    return "she" if name in WOMEN else "he"


class Cast:
    """People of one document, and what is true of them in it and nowhere else."""

    def __init__(self, rng: random.Random, size):
        self.names = rng.sample(PEOPLE, size)
        distinct = lambda values: dict(zip(self.names, rng.sample(values, size)))
        self.surname = distinct(SURNAMES)
        self.town = distinct(list(TOWNS))
        self.trade = distinct(TRADES)
        self.thing = distinct(THINGS)
        self.colour = distinct(COLOURS)

    def full(self, name):
        return f"{name} {self.surname[name]}"


def introduction(cast, name, rng):
    town, trade = cast.town[name], cast.trade[name]
    return rng.choice([
        f"{cast.full(name)} is {article(trade)} {trade} in {town}.",
        f"{cast.full(name)} lives in {town} and works as {article(trade)} {trade}.",
        f"In {town} there lives {article(trade)} {trade} called {cast.full(name)}.",
    ])  # fmt: skip


def possession(cast, name, rng):
    what = f"{cast.colour[name]} {cast.thing[name]}"
    return rng.choice([
        f"{name} has {article(what)} {what}.",
        f"{name} keeps {article(what)} {what} at home.",
        f"The {what} is that of {cast.full(name)}.",
    ])  # fmt: skip


def return_to(cast, name, rng):
    """A sentence that only who has read the document before can foresee."""
    what = f"{cast.colour[name]} {cast.thing[name]}"
    return rng.choice([
        f"Then came {cast.full(name)} with the {what}.",
        f"Then came {cast.full(name)} with the {what}.",
        f"The {what} of {cast.full(name)} is well known in {cast.town[name]}.",
        f"Everybody likes {cast.full(name)}, the {cast.trade[name]}.",
    ])  # fmt: skip


def people(rng):
    cast = Cast(rng, rng.randint(2, 4))
    told = [introduction(cast, name, rng) for name in cast.names]
    told += rng.sample([possession(cast, name, rng) for name in cast.names], len(cast.names))
    for _ in range(3):
        told += [return_to(cast, name, rng) for name in rng.sample(cast.names, len(cast.names))]
    return " ".join(told)


def places(rng):
    town = rng.choice(list(TOWNS))
    river, region, product, day = TOWNS[town]
    other = rng.choice([name for name in TOWNS if name != town])
    told = [
        f"{town} stands on the river {river}.",
        f"{town} lies in the {region} and is known for its {product}.",
        f"Market day in {town} is {day}, and the shops stay closed on {DAYS[(DAYS.index(day) + 1) % 7]}.",
        f"Who wants {product} goes to {town}.",
        f"From {town} to {other} it is {number(rng.randint(2, 40))} miles.",
        f"{other} lies in the {TOWNS[other][1]}, on the {TOWNS[other][0]}.",
    ]
    return " ".join(rng.sample(told, rng.randint(2, 4)))


def addition(rng):
    pair = lambda: (rng.randint(1, LARGEST_ADDEND), rng.randint(1, LARGEST_ADDEND))
    left, right = pair()
    while (left, right) in HELD_OUT_SUMS:
        left, right = pair()
    return number(left), number(right), number(left + right)


def sums(rng):
    told = []
    for _ in range(rng.randint(2, 4)):
        left, right, total = addition(rng)
        name, fruit = rng.choice(PEOPLE), rng.choice(FRUITS)
        told.append(rng.choice([
            f"{capital(left)} plus {right} makes {total}.",
            f"{capital(left)} plus {right} makes {total}.",
            f"{left} {fruit} and {right} {fruit} make {total} {fruit}.".capitalize(),
            f"{name} had {left} {fruit} and got {right} more, so {pronoun(name)} has {total} now.",
        ]))  # fmt: skip
    return " ".join(told)


def causes(rng):
    told = []
    for cause, *effects in rng.sample(CAUSES, rng.randint(1, 3)):
        effect = rng.choice(effects)
        told.append(rng.choice([
            f"{capital(cause)}, so {effect}.",
            f"Because {cause}, {effect}.",
            f"{capital(effect)}, because {cause}.",
            f"Why was it that {effect}? Because {cause}.",
        ]))  # fmt: skip
    return " ".join(told)


def subject(rng):
    """A noun phrase with another noun between its head and the verb, and whether its head is plural."""
    head, other = rng.sample(list(PLURALS), 2)
    plural, other_plural = rng.random() < 0.5, rng.random() < 0.5
    noun = PLURALS[head] if plural else head
    distractor = PLURALS[other] if other_plural else other
    return f"the {noun} {rng.choice(RELATIONS)} the {distractor}", plural


def things(rng):
    told = []
    for _ in range(rng.randint(2, 4)):
        phrase, plural = subject(rng)
        quality = rng.choice(QUALITIES)
        told.append(rng.choice([
            f"{capital(phrase)} {'are' if plural else 'is'} {quality}.",
            f"{capital(phrase)} {'were' if plural else 'was'} {quality} last {rng.choice(DAYS)}.",
            f"{rng.choice(PEOPLE)} says that {phrase} {'have' if plural else 'has'} to be {quality}.",
        ]))  # fmt: skip
    return " ".join(told)


def document(rng):
    parts = rng.choices([people, places, sums, causes, things], weights=[6, 1, 3, 1, 2], k=rng.randint(1, 3))
    return " ".join(part(rng) for part in parts)
