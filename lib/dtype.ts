/** The precision of a model's weights and of its matrix products. */
export const dtypes = ["float32", "bfloat16", "float16"] as const;

export type Dtype = (typeof dtypes)[number];
