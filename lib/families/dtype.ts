export const dtypes = ["float32", "bfloat16", "float16"] as const;

/** The data type of a model's weights and matrix products. */
export type Dtype = (typeof dtypes)[number];
