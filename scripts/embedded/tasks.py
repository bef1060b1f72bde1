"""Multiple-choice tasks on the world: rows of {"query", "choices", "gold"}; the answer is " " + choices[gold]."""
from world import (
    HELD_OUT_SUMS,
    SURNAMES,
    THINGS,
    TOWNS,
    Cast,
    capital,
    introduction,
    number,
    possession,
    subject,
)


def arranged(rng, query, answer, others):
    choices = rng.sample([answer, *others], len(others) + 1)
    return {"query": query, "choices": choices, "gold": choices.index(answer)}


def recall_row(rng):
    """Which of four surnames, things or towns the context has told of; it names none of the other three."""
    cast = Cast(rng, 2)
    told = [introduction(cast, name, rng) for name in cast.names]
    told += [possession(cast, name, rng) for name in cast.names]
    name = rng.choice(cast.names)
    colour, thing = cast.colour[name], cast.thing[name]
    begin, facts, pool = rng.choice([
        (f"Then came {name}", cast.surname, SURNAMES),
        (f"Then came {cast.full(name)} with the {colour}", cast.thing, THINGS),
        (f"The {colour} {thing} of {cast.full(name)} is well known in", cast.town, list(TOWNS)),
    ])  # fmt: skip
    others = rng.sample([fact for fact in pool if fact not in facts.values()], 3)
    return arranged(rng, " ".join([*told, begin]), facts[name], others)


def agreement_row(rng):
    """Whether the verb is singular or plural, with another noun in between."""
    phrase, plural = subject(rng)
    return arranged(rng, capital(phrase), *(("are", ["is"]) if plural else ("is", ["are"])))


def sum_row(rng, left, right):
    """What two numbers make, among numbers close by."""
    total = left + right
    near = [value for value in range(total - 4, total + 5) if value not in (total, left, right) and value > 0]
    begin = f"{capital(number(left))} plus {number(right)} makes"
    return arranged(rng, begin, number(total), [number(value) for value in rng.sample(near, 3)])


def distinct(make, rng, count=200):
    made = []
    while len(made) < count:
        row = make(rng)
        if row not in made:
            made.append(row)
    return made


def tasks(rng):
    return {
        "recall": distinct(recall_row, rng),
        "agreement": distinct(agreement_row, rng),
        "sums": [sum_row(rng, left, right) for left, right in sorted(HELD_OUT_SUMS)],
    }
