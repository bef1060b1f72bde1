import type { Template } from "@huggingface/jinja";

type Expression = Template["parsed"]["body"][number];

/** Names that templates have without a row. */
const globals = new Set(["range", "namespace", "true", "false", "none", "True", "False", "None", "loop"]);

/** Filters that say what an undefined value becomes. */
const allowUndefined = new Set(["default", "d"]);

interface Node {
  type: string;
  value?: unknown;
  object?: Node;
  callee?: Node;
  operand?: Node;
  filter?: Node;
  left?: Node;
  right?: Node;
}

function* namesIn(node: Node | undefined): Generator<string> {
  if (node === undefined) return;
  if (node.type === "Identifier") yield String(node.value);
  if (node.type === "MemberExpression") yield* namesIn(node.object);
  if (node.type === "CallExpression") yield* namesIn(node.callee);
  if (node.type === "BinaryExpression") {
    yield* namesIn(node.left);
    yield* namesIn(node.right);
  }
  if (node.type !== "FilterExpression") return;
  const filter = node.filter?.type === "CallExpression" ? node.filter.callee : node.filter;
  if (!allowUndefined.has(String(filter?.value))) yield* namesIn(node.operand);
}

/**
 * The columns without which a template can't be filled in: those that it prints whatever the row. The template library
 * prints nothing for a name that it does not know; Jinja as the evaluation harness uses it (StrictUndefined) fails.
 */
export function requiredColumns({ parsed }: Template): string[] {
  const body = parsed.body as readonly Expression[] as readonly (Node & { assignee?: Node; name?: Node })[];
  const assigned = new Set(body.flatMap(({ assignee, name }) => [assignee?.value, name?.value]).map(String));
  const names = body.flatMap((node) => [...namesIn(node)]);
  return [...new Set(names)].filter((name) => !globals.has(name) && !assigned.has(name));
}
