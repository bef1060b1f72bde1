// TypeScript in strict mode: recommends the block to bypass, from a sweep over secrets and questions.
import path from "node:path";
import {
  AttentionBypassError,
  embeddedMeasures,
  embeddedModel,
  loadModel,
  type Recommendation,
  recommend,
  type SweepResult,
} from "attention-bypass";

async function main(): Promise<void> {
  const model = await loadModel(embeddedModel());
  const measures = embeddedMeasures();
  const result: SweepResult<"exactMatch"> = await model.sweep({
    over: ["blocks", "quartiles"],
    samples: path.join(measures, "passages.jsonl"),
    metrics: ["exactMatch"],
    tasks: [{ name: "agreement", group: "language", questions: path.join(measures, "tasks", "agreement.jsonl") }],
  });
  const { best }: Recommendation = recommend(result, { tolerance: 2 });
  console.log(best === undefined ? "none" : `${best.name}: ${best.memorization.value.toFixed(2)} left`);
  await model.dispose();
}

main().catch((error: unknown) => {
  console.error(error instanceof AttentionBypassError ? `${error.code}: ${error.message}` : error);
  process.exitCode = 1;
});
