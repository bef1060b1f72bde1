"""Multiple-choice tasks on the world: rows of {"query", "choices", "gold"}; the answer is " " + choices[gold]."""
from world import HELD_OUT_SUMS, Cast, capital, introduction, number, subject


def arranged(rng, query, answer, others):
    choices = rng.sample([answer, *others], len(others) + 1)
    return {"query": query, "choices": choices, "gold": choices.index(answer)}


def recall_row(rng):
    """Which of the four surnames that the context tells is that of the person asked for."""
    cast = Cast(rng, 4)
    told = [introduction(cast, name, rng) for name in cast.names]
    name = rng.choice(cast.names)
    others = [surname for owner, surname in cast.surname.items() if owner != name]
    return arranged(rng, " ".join([*told, f"Then came {name}"]), cast.surname[name], others)


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
