export type { AttentionOptions, AttentionSurvey, BlockAttention } from "./attention.js";
export type { BenchmarkOptions, BenchmarkResult } from "./benchmark.js";
export type { Interval } from "./bootstrap.js";
export type { Blocks, Bypass, BypassMeans, BypassMode, BypassPart, Heads } from "./bypass.js";
export { type ConvertOptions, convert } from "./convert.js";
export type { TextFile } from "./data/text-argument.js";
export type { Device } from "./device.js";
export { type Diagnosis, diagnose } from "./diagnose.js";
export type { BlockDivergence, Divergence, DivergenceOptions } from "./divergence.js";
export type { Dtype } from "./dtype.js";
export { type EmbeddedModel, embeddedMeasures, embeddedModel, embeddedModels } from "./embedded-model.js";
export { AttentionBypassError, type ErrorCode, errorCodes } from "./errors.js";
export type { FamilyName, ModelConfig } from "./families/model-config.js";
export type { FileHash } from "./fingerprint.js";
export type { FinishReason, Generation, GenerationOptions, GenerationPiece } from "./generation.js";
export type { Libtorch, LibtorchAttempt, LibtorchOrigin } from "./libtorch.js";
export { type LoadModelOptions, loadModel } from "./load-model.js";
export type { Logits, LogitsOptions } from "./logits.js";
export {
  type MemorizationMetric,
  type MemorizationOptions,
  type MemorizationResult,
  type MemorizationScores,
  memorizationMetrics,
  samplesToExtract,
} from "./memorization.js";
export type { Model } from "./model.js";
export type { NativePlatform } from "./native.js";
export type { OperationOptions } from "./operation.js";
export type { Perplexity, PerplexityOptions } from "./perplexity.js";
export type { Difference, PrecisionDifference } from "./precision.js";
export { type Candidate, type Doubt, type Recommendation, type RecommendOptions, recommend } from "./recommend.js";
export { drawFigure } from "./report/draw.js";
export type { Figure } from "./report/figure.js";
export { createReport, type Report, type ReportOptions } from "./report/report.js";
export type { ReportTable } from "./report/tables.js";
export { type WriteReportOptions, writeReport } from "./report/write-report.js";
export type { SamplePair, SampleRow, Samples } from "./samples.js";
export { type Display, showFigure, showReport } from "./show.js";
export type { SurveyedBlock, SurveyedBypass } from "./survey.js";
export type { AnySweepResult, SweepOptions, SweepResult, SweepScores, SweepSettings, SweptVariant } from "./sweep.js";
export type { BypassFamily, SweptBlocks, SweptModes, SweptParts, Variant, VariantKind } from "./sweep-variants.js";
export type { Answer, DefinedTask, Question, QuestionTask, Task, TaskScores } from "./task.js";
export { benchmarkNames } from "./task-definition.js";
export type { Tokenizer } from "./tokenizer/tokenizer.js";
export type { Tokens } from "./tokens.js";
