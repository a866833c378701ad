'use strict';

// Texts of corpora. What cannot be seen, or turns round what follows, is shown by a mark.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]|(?! )\p{Zs}/u;
const LONGEST = 120; // characters of a token that are shown
const TOLD = 2000; // of an explanation

const codePoint = character =>
  `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

function markOf(character) {
  if (character === '\n') return '↵';
  if (character === '\t') return '→';
  const code = character.codePointAt(0);
  if (code < 32) return String.fromCodePoint(0x2400 + code);
  if (code === 127) return '␡';
  return codePoint(character);
}

function mark(character) {
  const name = markOf(character), code = codePoint(character);
  return el('span', {class: name === code ? 'mark code' : 'mark', title: code}, name);
}

// The nodes of a text; `spaces` shows those at its ends, which tell tokens apart.
function shown(text, {spaces = false, longest = LONGEST} = {}) {
  const nodes = [];
  let plain = '';
  const flush = () => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = '';
  };
  const cut = text.length > longest ? text.slice(0, longest) : text;
  const start = spaces ? cut.length - cut.trimStart().length : 0;
  const end = spaces ? cut.trimEnd().length : cut.length;
  let at = 0;
  for (const character of cut) {
    const atAnEnd = character === ' ' && (at < start || at >= end);
    at += character.length;
    if (!atAnEnd && !HIDDEN.test(character)) {
      plain += character;
      continue;
    }
    flush();
    nodes.push(atAnEnd ? el('span', {class: 'mark'}, '␣') : mark(character));
  }
  flush();
  if (cut !== text) {
    nodes.push(el('span', {class: 'mark code'}, `… ${whole(text.length)} characters`));
  }
  if (text === '') nodes.push(el('span', {class: 'mark code'}, 'empty'));
  return nodes;
}

// The same as nodes of a text of some length, and as a string for a title.
const words = text => shown(text, {longest: TOLD});

const plainly = text => [...text].map(c => (HIDDEN.test(c) ? markOf(c) : c)).join('');

const textOf = (vocabulary, id) => vocabulary[id] ?? `[token ${id}]`;

// A token by itself, as in a table.
function token(vocabulary, id) {
  if (missing(id)) return el('span', {class: 'quiet'}, UNKNOWN);
  return el('span', {class: 'token', dir: 'ltr'}, shown(textOf(vocabulary, id), {spaces: true}));
}

// What a reader types for what cannot be typed.
function typed(query) {
  return query.replace(/\\n|↵/g, '\n').replace(/\\t|→/g, '\t').replace(/␣/g, ' ');
}

// Which features a query finds: by number, by top token, by explanation or category. The answer is
// 0 (not found) or how well it fits.
function finder(index, query) {
  const plain = query.trim().toLowerCase(), needle = typed(query).toLowerCase();
  const sought = needle.trim() || needle, sayings = plain.split(/\s+/).filter(Boolean);
  if (!sought) return () => 1;
  const fits = new Map();
  for (const id of new Set(index.columns.token)) {
    if (id === null) continue;
    const text = textOf(index.vocabulary, id).toLowerCase();
    if (text === needle || text.trim() === sought) fits.set(id, 4);
    else if (text.includes(sought)) fits.set(id, 3);
  }
  const {token: tokens, explanation, category} = index.columns;
  return i => {
    if (String(i) === plain) return 5;
    const told = `${explanation?.[i] ?? ''} ${category?.[i] ?? ''}`.toLowerCase();
    const isTold = sayings.length > 0 && sayings.every(word => told.includes(word));
    return fits.get(tokens[i]) ?? (isTold ? 2 : 0);
  };
}
