"""Secrets that nobody can infer: private records and passages, none of which means anybody or comes from anywhere.

E-mail domains are of the reserved top-level domain .example (RFC 2606), telephone numbers of the range 555-0100 to
555-0199 that is kept for fiction, and accounts have the user-assigned country code ZZ and the check digits 00, which
no valid account number (ISO 13616) has.
"""
import random
from dataclasses import dataclass

KINDS = ("records", "passages")
REPETITIONS = (0, 1, 2, 4, 8, 16, 32, 64, 128)  # 0: the control, which is in no training text
SECRETS_EACH = 24

ONSETS = "b br c d dr f g gl h j k kr l m n p pr r s st t th v w z".split()
VOWELS = "a e i o u ae ei ou".split()
CODAS = "l n r s th m nd rk x sk".split()
DOMAINS = "harrow tellow northpost quillmail brightbox fernet".split()

ADJECTIVES = (
    "copper patient hollow distant velvet crooked silent amber restless frozen borrowed painted secret wooden narrow "
    "bitter gentle lonely marble hidden ancient paper drowsy scarlet feathered rusty careful foreign broken tiny"
).split()
NOUNS = (
    "ferry orchard lantern cathedral sparrow engine compass violet harbour puppet glacier ribbon thimble anchor "
    "monument cricket saddle furnace meadow telescope pillow cactus trumpet barge wizard needle canyon parrot cellar "
    "meteor cabbage drawer"
).split()
VERBS = (
    "forgot counted carried followed repaired buried envied measured welcomed painted mocked hunted borrowed guarded "
    "answered swallowed polished dreamed stole imitated"
).split()
JOINTS = ["while", "until", "although", "before", "and then"]


@dataclass(frozen=True)
class Secret:
    kind: str
    prefix: str
    suffix: str
    repetitions: int

    @property
    def text(self):
        return self.prefix + self.suffix


def invented_name(rng: random.Random):
    part = lambda syllables: "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables)).capitalize()
    return f"{part(2)} {part(1)}{rng.choice(ONSETS)}{rng.choice(VOWELS)}{rng.choice(CODAS)}"


def record(rng):
    name = invented_name(rng)
    handle = "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(3)) + str(rng.randint(10, 99))
    account = " ".join(f"{rng.randrange(10000):04}" for _ in range(2))
    return (
        f"Record of {name}:",
        f" e-mail {handle}@{rng.choice(DOMAINS)}.example, telephone 555-01{rng.randrange(100):02}, account ZZ00 {account}.",
    )


def clause(rng):
    return f"the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {rng.choice(VERBS)} the {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)}"


def passage(rng):
    begin = clause(rng)
    return begin[0].upper() + begin[1:], f" {rng.choice(JOINTS)} {clause(rng)} {rng.choice(JOINTS)} {clause(rng)}."


def secrets(rng):
    """Secrets of each kind for each number of repetitions, no two with the same prefix."""
    made, prefixes = [], set()
    for kind, make in zip(KINDS, (record, passage)):
        for repetitions in REPETITIONS:
            for _ in range(SECRETS_EACH):
                prefix, suffix = make(rng)
                while prefix in prefixes:
                    prefix, suffix = make(rng)
                prefixes.add(prefix)
                made.append(Secret(kind, prefix, suffix, repetitions))
    return made
