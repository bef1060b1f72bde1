export const dtypes = ["float32", "bfloat16", "float16"] as const;

/** The precision of a model's weights and of its matrix products. */
export type Dtype = (typeof dtypes)[number];
