import type { Template } from "@huggingface/jinja";

/** Names that are defined in every template. */
const globals = new Set([
  ...["range", "namespace", "raise_exception", "strftime_now"],
  ...["true", "false", "none", "True", "False", "None"],
]);

/** Filters that replace an undefined value. */
const allowUndefined = new Set(["default", "d"]);

/** The fields of the template library's nodes that are used here. Each kind of node has some of them. */
interface Node {
  type: string;
  value?: unknown;
  object?: Node;
  callee?: Node;
  operand?: Node;
  filter?: Node;
  left?: Node;
  right?: Node;
  /** The variable of a `set` statement. */
  assignee?: Node;
  /** The name of a macro. */
  name?: Node;
}

function namesIn(node: Node | undefined): string[] {
  switch (node?.type) {
    case "Identifier":
      return [String(node.value)];
    case "MemberExpression":
      return namesIn(node.object);
    case "CallExpression":
      return namesIn(node.callee);
    case "BinaryExpression":
      return [...namesIn(node.left), ...namesIn(node.right)];
    case "FilterExpression": {
      const filter = node.filter?.type === "CallExpression" ? node.filter.callee : node.filter;
      return allowUndefined.has(String(filter?.value)) ? [] : namesIn(node.operand);
    }
    default:
      return [];
  }
}

/**
 * Returns the columns that a template prints for every row, so that a row without one of them cannot be rendered. The
 * template library prints nothing for an unknown name; the lm-evaluation-harness uses Jinja's StrictUndefined, which
 * fails.
 */
export function requiredColumns({ parsed }: Template): string[] {
  const body = parsed.body as readonly Node[];
  const assigned = new Set(body.flatMap(({ assignee, name }) => [...namesIn(assignee), ...namesIn(name)]));
  return [...new Set(body.flatMap(namesIn))].filter((name) => !globals.has(name) && !assigned.has(name));
}
