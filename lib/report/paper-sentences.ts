import { type Claim, claims, type Judgement, type Verdict } from "./paper-claims.js";

/** Joins names as in "a, b and c". */
export const list = (names: readonly string[]): string =>
  names.length < 2 ? (names[0] ?? "") : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;

const phrases: Record<Verdict, string> = {
  holds: "holds for",
  "does not hold": "does not hold for",
  undecided: "is undecided for",
  "not measured": "was not measured for",
};

function opening({ text, published }: Claim): string {
  return published ? `The paper finds that ${text}.` : `A test of the paper's finding is whether ${text}.`;
}

/** With more models than these, the numbers are only in the tables. */
const most = 2;

/** Returns a sentence with the verdicts on one claim for all models. */
function sentence(all: readonly Judgement[]): string[] {
  const [first] = all;
  if (first === undefined) return [];
  const claim = claims[first.claim];
  const named = ({ model, measured }: Judgement) => (all.length > most ? model : `${model} (${measured})`);
  const verdicts = (Object.keys(phrases) as Verdict[]).flatMap((verdict) => {
    const own = all.filter((one) => one.verdict === verdict);
    return own.length === 0 ? [] : [`${phrases[verdict]} ${list(own.map(named))}`];
  });
  return [
    `${opening(claim)} Here, with ${first.bypass}, this ${verdicts.join("; it ")}. The criterion, at 95 %: ${claim.criterion}.`,
  ];
}

/**
 * Returns a sentence for each claim. Claims that were judged in both modes have the sentence of the paper's mode, since
 * the table has the other.
 */
export function claimSentences(all: readonly Judgement[]): string[] {
  return (Object.keys(claims) as (keyof typeof claims)[]).flatMap((claim) => {
    const own = all.filter((one) => one.claim === claim);
    const papers = own.filter(({ mode }) => mode === "short-circuit");
    return sentence(papers.length > 0 ? papers : own);
  });
}
