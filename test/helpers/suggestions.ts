import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** A command line that the sources suggest; `{}` stands where something is filled in. */
export interface Suggested {
  readonly form: string;
  readonly at: string;
}

/**
 * Every command line in the sources that somebody may be told to run: each text that begins with the name of a command,
 * and whatever else stands in a list called `next`. A text that is put together elsewhere is found where its words are.
 */
export function suggestedInSources(root: string, commands: readonly string[]): Suggested[] {
  const files = globSync(['src/**/*.{ts,tsx}', 'extensions/**/*.{ts,tsx}'], { cwd: root });
  return files.flatMap((file) => {
    const source = ts.createSourceFile(file, readFileSync(join(root, file), 'utf8'), ts.ScriptTarget.Latest, true);
    const found: Suggested[] = [];
    const visit = (node: ts.Node, inNext: boolean): void => {
      const form = textOf(node);
      if (form !== undefined && (inNext || commands.some((name) => form === name || form.startsWith(`${name} `)))) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart());
        found.push({ form, at: `${file}:${line + 1}` });
      }
      ts.forEachChild(node, (child) =>
        visit(child, isNext(node, child) || (inNext && form === undefined && !isLookUp(node))),
      );
    };
    visit(source, false);
    return found;
  });
}

/** The text of a string or template, with `{}` for what a template fills in. */
function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map((span) => `{}${span.literal.text}`).join('');
}

/** Whether `child` is the list of a property `next: [...]` or of a variable of that name. */
function isNext(node: ts.Node, child: ts.Node): boolean {
  if (ts.isPropertyAssignment(node))
    return node.name.getText() === 'next' && child === node.initializer && holdsList(child);
  return (
    ts.isVariableDeclaration(node) && node.name.getText() === 'next' && child === node.initializer && holdsList(child)
  );
}

function holdsList(node: ts.Node): boolean {
  if (ts.isArrayLiteralExpression(node)) return true;
  return (
    ts.isConditionalExpression(node) &&
    (holdsList(node.whenTrue) || holdsList(node.whenFalse) || ts.isCallExpression(node.whenTrue))
  );
}

/** A condition, a comparison or a key inside of it is no suggestion. */
function isLookUp(node: ts.Node): boolean {
  return ts.isBinaryExpression(node) || ts.isElementAccessExpression(node);
}
