export type { Device } from "./addon/device.js";
export { type Diagnosis, diagnose } from "./addon/diagnose.js";
export type { Libtorch, LibtorchAttempt, LibtorchOrigin } from "./addon/libtorch.js";
export type { NativePlatform } from "./addon/native.js";
export type { BenchmarkOptions, BenchmarkResult } from "./benchmark/benchmark.js";
export type { Answer, DefinedTask, Question, QuestionTask, Task, TaskScores } from "./benchmark/task.js";
export { benchmarkNames } from "./benchmark/task-definition.js";
export type { Blocks, Bypass, BypassMeans, BypassMode, BypassPart, Heads } from "./bypass/bypass.js";
export { type EmbeddedModel, embeddedMeasures, embeddedModel, embeddedModels } from "./checkpoint/embedded-model.js";
export { type ConvertOptions, convert } from "./convert.js";
export type { SamplePair, SampleRow, Samples } from "./data/samples.js";
export type { TextFile } from "./data/text-argument.js";
export { AttentionBypassError, type ErrorCode, errorCodes } from "./errors/errors.js";
export type { Dtype } from "./families/dtype.js";
export type { FamilyName, ModelConfig } from "./families/model-config.js";
export type { FinishReason, Generation, GenerationOptions, GenerationPiece } from "./generation/generation.js";
export type { TokenLogProbability } from "./generation/token-log-probability.js";
export { download } from "./hub/download.js";
export type { DownloadOptions, HubOptions } from "./hub/options.js";
export { type LoadModelOptions, loadModel } from "./load-model.js";
export type { AttentionOptions, AttentionSurvey, BlockAttention } from "./measure/attention.js";
export type { BlockDivergence, Divergence, DivergenceOptions } from "./measure/divergence.js";
export type { SurveyedBlock, SurveyedBypass } from "./measure/survey.js";
export {
  type MemorizationMetric,
  type MemorizationOptions,
  type MemorizationResult,
  type MemorizationScores,
  memorizationMetrics,
  samplesToExtract,
} from "./metrics/memorization.js";
export type { Perplexity, PerplexityOptions } from "./metrics/perplexity.js";
export type { Model } from "./model.js";
export type { OperationOptions } from "./operation/operation.js";
export type { PaperMode } from "./paper/bypasses.js";
export type { PaperModel } from "./paper/models.js";
export type { MeasuredModel, PaperMetric, PaperResult } from "./paper/result.js";
export { type RecommendOptions, recommend } from "./recommend/recommend.js";
export type { Candidate, Doubt, Recommendation } from "./recommend/recommendation.js";
export { drawFigure } from "./report/draw.js";
export type { Figure } from "./report/figure.js";
export { createPaperReport } from "./report/paper-report.js";
export { createReport, type Report, type ReportOptions } from "./report/report.js";
export type { ReportTable } from "./report/report-table.js";
export { type Display, showFigure, showReport } from "./report/show.js";
export { createTrainingReport, type TrainingReportOptions } from "./report/training-report.js";
export { type WriteReportOptions, writeReport } from "./report/write-report.js";
export { type PaperOptions, reproducePaper } from "./reproduce-paper.js";
export type { WeightHash } from "./revisions/checkpoints.js";
export type { AnyRevisionsResult, RevisionsResult, SweptRevision } from "./revisions/result.js";
export type { LogProbabilities, LogProbabilitiesOptions } from "./scoring/log-probabilities.js";
export type { Logits, LogitsOptions } from "./scoring/logits.js";
export type { Difference, PrecisionDifference } from "./scoring/precision.js";
export type {
  ComparedRows,
  DeepBlocksComparison,
  DeepBlocksMetric,
  MetricSelectivity,
  Selectivity,
  VariantSelectivity,
} from "./selectivity/result.js";
export { selectivity } from "./selectivity/selectivity.js";
export type { ServeLimits, ServeOptions } from "./serve/options.js";
export type { Server } from "./serve/server.js";
export { serve } from "./serve.js";
export type { Interval } from "./statistics/bootstrap.js";
export type { BypassFamily } from "./sweep/families.js";
export type { FileHash } from "./sweep/fingerprint.js";
export type { SweepOptions } from "./sweep/options.js";
export type { RandomSets } from "./sweep/random-sets.js";
export type { AnySweepResult, SweepResult, SweepScores, SweptVariant } from "./sweep/result.js";
export type { SweepSettings } from "./sweep/settings.js";
export type { SweptBlocks, SweptModes, SweptParts, Variant, VariantKind } from "./sweep/variants.js";
export { type SweepRevisionsOptions, sweepRevisions } from "./sweep-revisions.js";
export type { Tokenizer } from "./tokenizer/tokenizer.js";
export type { Tokens } from "./tokenizer/tokens.js";
