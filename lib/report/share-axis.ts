import { percentAxis } from "./figure.js";

/** How captions describe intervals. */
export const intervals = "95 % confidence intervals by bootstrap over rows and questions";
/** How captions define the values of figures of shares. */
export const definitions =
  "Values are shares of the unmodified model's memorization and ability; ability is the accuracy above chance, a mean over tasks.";

/** The axis of remaining shares. */
export const shareAxis = { field: "value", type: "quantitative", title: "share remaining", axis: percentAxis };
/** The ends of intervals. */
export const interval = { y: { field: "low", type: "quantitative" }, y2: { field: "high" } };
