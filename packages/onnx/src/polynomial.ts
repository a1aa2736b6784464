/**
 * Sums of products of symbols with whole coefficients: what a symbolic dimension means. The text of a polynomial is
 * canonical, `2*batch*context + context - 1`: terms by falling degree, then by name, and `+` and `-` between spaces,
 * so that a hyphen may be part of a name. A rounded quotient is a symbol of its own, `floor((height + 1)/2)`, with
 * everything that can leave the bracket outside of it. Equal texts are equal sizes; the reverse is not promised.
 */
import { dimensionTextMax, symbolsMax, termsMax } from './defaults.ts';

interface Term {
  readonly factor: number;
  /** Sorted names, repeated where squared, and texts of rounded quotients. */
  readonly symbols: readonly string[];
}

/** Terms by their symbols, none with the factor 0. */
export type Polynomial = ReadonlyMap<string, Term>;

const separator = '*';
const keyOf = (symbols: readonly string[]): string => symbols.join(separator);

/** A polynomial that stays within the bounds of one dimension, or undefined. */
function collect(terms: Iterable<Term>): Polynomial | undefined {
  const sum = new Map<string, Term>();
  for (const { factor, symbols } of terms) {
    if (symbols.length > symbolsMax) return undefined;
    const key = keyOf(symbols);
    const total = factor + (sum.get(key)?.factor ?? 0);
    if (!Number.isSafeInteger(total)) return undefined;
    if (total === 0) sum.delete(key);
    else sum.set(key, { factor: total, symbols });
  }
  return sum.size > termsMax ? undefined : sum;
}

const termsOf = (polynomial: Polynomial): readonly Term[] => [...polynomial.values()];
const constantTerm = (value: number): Term => ({ factor: value, symbols: [] });
const symbolTerm = (symbol: string): Term => ({ factor: 1, symbols: [symbol] });
const scaled = ({ factor, symbols }: Term, by: number): Term => ({ factor: factor * by, symbols });

/** The polynomial of one number. */
export const constant = (value: number): Polynomial | undefined => collect([constantTerm(value)]);

/** The number that a polynomial without symbols is. */
export function numberOf(polynomial: Polynomial): number | undefined {
  if (polynomial.size === 0) return 0;
  return polynomial.size === 1 ? polynomial.get('')?.factor : undefined;
}

/** a + by · b. */
export const addScaled = (a: Polynomial, b: Polynomial, by: number): Polynomial | undefined =>
  collect([...termsOf(a), ...termsOf(b).map((term) => scaled(term, by))]);

/** a · b. */
export const multiply = (a: Polynomial, b: Polynomial): Polynomial | undefined =>
  collect(
    termsOf(a).flatMap((left) =>
      termsOf(b).map((right) => ({
        factor: left.factor * right.factor,
        symbols: [...left.symbols, ...right.symbols].sort(),
      })),
    ),
  );

function divideTerm(top: Term, bottom: Term): Term | undefined {
  if (top.factor % bottom.factor !== 0) return undefined;
  const symbols = [...top.symbols];
  for (const symbol of bottom.symbols) {
    const index = symbols.indexOf(symbol);
    if (index < 0) return undefined;
    symbols.splice(index, 1);
  }
  return { factor: top.factor / bottom.factor, symbols };
}

function byDegreeThenName(a: Term, b: Term): number {
  if (a.symbols.length !== b.symbols.length) return b.symbols.length - a.symbols.length;
  const [left, right] = [keyOf(a.symbols), keyOf(b.symbols)];
  return left < right ? -1 : left > right ? 1 : 0;
}

/** a / b when that is a polynomial again. */
export function divideExactly(a: Polynomial, b: Polynomial): Polynomial | undefined {
  const lead = termsOf(b).toSorted(byDegreeThenName)[0];
  if (!lead) return undefined;
  const quotient: Term[] = [];
  let rest: Polynomial | undefined = a;
  while (rest && rest.size > 0) {
    const next: Term | undefined = divideTerm(termsOf(rest).toSorted(byDegreeThenName)[0] as Term, lead);
    if (!next || quotient.length === termsMax) return undefined;
    quotient.push(next);
    rest = collect([
      ...termsOf(rest),
      ...termsOf(multiply(collect([next]) ?? a, b) ?? a).map((term) => scaled(term, -1)),
    ]);
  }
  return rest && collect(quotient);
}

const divisor = (a: number, b: number): number => (b === 0 ? Math.abs(a) : divisor(b, a % b));

/** The bracket and divisor of the rounded quotient that a symbol is, if it is one. */
function roundedQuotient(symbol: string): { readonly top: Polynomial; readonly by: number } | undefined {
  const match = /^floor\((.+)\/(\d+)\)$/.exec(symbol);
  const inner = match?.[1]?.replace(/^\((.*)\)$/, '$1');
  const top = inner === undefined ? undefined : parse(inner);
  return top && { top, by: Number(match?.[2]) };
}

/** floor((floor(p/n) + q)/m) is floor((p + n·q)/(n·m)): the bracket and divisor without the inner rounding. */
function unnest(top: Polynomial, by: number): { readonly top: Polynomial; readonly by: number } | undefined {
  for (const term of termsOf(top).toSorted(byDegreeThenName)) {
    const inner =
      term.factor === 1 && term.symbols.length === 1 ? roundedQuotient(term.symbols[0] as string) : undefined;
    const others = inner && collect(termsOf(top).filter((other) => other !== term));
    const whole = inner && others && addScaled(inner.top, others, inner.by);
    if (inner && whole && Number.isSafeInteger(inner.by * by)) return { top: whole, by: inner.by * by };
  }
  return undefined;
}

/** ⌊a / by⌋ for a positive whole number. */
export function floorDivide(a: Polynomial, by: number): Polynomial | undefined {
  const parts = termsOf(a).map(({ factor, symbols }) => {
    const quotient = Math.floor(factor / by);
    return { symbols, quotient, remainder: factor - quotient * by };
  });
  const outside = collect(parts.map(({ symbols, quotient }) => ({ factor: quotient, symbols })));
  const inside = parts.filter(({ remainder }) => remainder !== 0);
  const symbolic = inside.filter(({ symbols }) => symbols.length > 0);
  if (!outside || symbolic.length === 0) return outside;
  const shared = symbolic.reduce((common, { remainder }) => divisor(common, remainder), by);
  const bracket = collect(
    inside.map(({ symbols, remainder }) => ({ factor: Math.floor(remainder / shared), symbols })),
  );
  if (!bracket) return undefined;
  const flat = unnest(bracket, by / shared);
  const rounded = flat ? floorDivide(flat.top, flat.by) : roundedSymbol(bracket, by / shared);
  return rounded && addScaled(outside, rounded, 1);
}

function roundedSymbol(bracket: Polynomial, by: number): Polynomial | undefined {
  const text = format(bracket);
  if (text === undefined) return undefined;
  return collect([symbolTerm(`floor(${bracket.size > 1 ? `(${text})` : text}/${by})`)]);
}

/**
 * The least value when every symbol is at least 1 and every rounded quotient at least 0; undefined where a symbol is
 * subtracted.
 */
export function minimumOf(polynomial: Polynomial): number | undefined {
  let minimum = 0;
  for (const { factor, symbols } of polynomial.values()) {
    if (symbols.length > 0 && factor < 0) return undefined;
    minimum += symbols.some((symbol) => symbol.startsWith('floor(')) ? 0 : factor;
  }
  return minimum;
}

/** The canonical text; undefined when it would be too long. */
export function format(polynomial: Polynomial): string | undefined {
  const parts = termsOf(polynomial)
    .toSorted(byDegreeThenName)
    .map(({ factor, symbols }, index) => {
      const size = Math.abs(factor);
      const product = [...(size === 1 && symbols.length > 0 ? [] : [String(size)]), ...symbols].join(
        separator,
      );
      const sign = factor < 0 ? '-' : '+';
      return index > 0 ? ` ${sign} ${product}` : factor < 0 ? `-${product}` : product;
    });
  const text = parts.join('') || '0';
  return text.length > dimensionTextMax ? undefined : text;
}

/** Splits a text where a separator lies outside of all brackets; undefined when brackets do not match. */
function splitOutside(text: string, pattern: RegExp): readonly string[] | undefined {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  for (let index = 0; index < text.length; index++) {
    if (text[index] === '(') depth++;
    else if (text[index] === ')') depth--;
    if (depth < 0) return undefined;
    if (depth > 0) continue;
    pattern.lastIndex = index;
    const found = pattern.exec(text)?.[0];
    if (!found) continue;
    parts.push(text.slice(from, index), found);
    from = index + found.length;
    index = from - 1;
  }
  return depth === 0 ? [...parts, text.slice(from)] : undefined;
}

const isSymbol = (text: string): boolean => /^[^\s()?,*\d-]([^()?,*]*[^\s()?,*])?$/.test(text);

function parseFactor(text: string): Polynomial | undefined {
  if (/^\d+$/.test(text)) return constant(Number(text));
  if (text.startsWith('floor(')) {
    const quotient = roundedQuotient(text);
    return quotient && quotient.by > 0 ? floorDivide(quotient.top, quotient.by) : undefined;
  }
  return isSymbol(text) ? collect([symbolTerm(text)]) : undefined;
}

/** Reads a text as a polynomial; undefined for one that is none, or is too long. */
export function parse(text: string): Polynomial | undefined {
  if (text.length > dimensionTextMax) return undefined;
  const negative = text.startsWith('-');
  const sum = splitOutside(negative ? text.slice(1) : text, / [+-] /y);
  let total: Polynomial | undefined = new Map();
  let sign = negative ? -1 : 1;
  for (const part of sum ?? ['?']) {
    if (part === ' + ' || part === ' - ') {
      sign = part === ' + ' ? 1 : -1;
      continue;
    }
    let product = constant(1);
    for (const factor of splitOutside(part, /\*/y) ?? ['?']) {
      if (factor === separator) continue;
      const parsed = parseFactor(factor);
      product = product && parsed && multiply(product, parsed);
    }
    total = total && product && addScaled(total, product, sign);
  }
  return total;
}
