'use strict';

// What the keys do here: those of every page, and those that a view brings along.
const KEYS = [
  ['/', 'search tokens and explanations, in all models'],
  ['j, k', 'next, previous row of a table, or feature of the list that a page is from'],
  ['↓, ↑', 'next, previous row'],
  ['→, ←', 'next, previous feature; within a context, next, previous token'],
  ['Enter', 'open what is in focus'],
  ['Esc', 'up: from a feature to its table, from a table to the flow'],
  ['v', 'show the activations as numbers, or not'],
  ['l', 'break contexts where their lines end, or not'],
  ['t', 'light, dark, or as the system has it'],
  ['?', 'this list'],
];
const MARKS = [
  ['↵ → ␣', 'newline, tab, and a space at the end of a token'],
  ['␀', 'control characters, each by its own picture'],
  ['U+202E', 'characters that cannot be seen or turn the text around, by their code point'],
  ['● persists', 'a living parent’s feature with a partner above the threshold in the child'],
  ['○ disappears', 'one without'],
  ['● traced', 'a living child’s feature with a partner above the threshold in any parent'],
  ['✦ emerges', 'one without'],
  ['◌ rare', 'fires too seldom on the scope to be judged'],
  ['– silent', 'never fires there'],
];

let view = {keys: {}};

const listed = rows => el('dl', {}, rows.map(([key, what]) => [
  el('dt', {}, key), el('dd', {}, what)]));

function openHelp() {
  const dialog = document.getElementById('keys');
  const close = el('button', {type: 'button', onclick: () => dialog.close()}, 'Close');
  dialog.replaceChildren(
    el('h2', {id: 'keys-title'}, 'Keys'), listed(KEYS),
    el('h2', {}, 'Marks'), listed(MARKS), close);
  dialog.showModal();
}

const isTyping = target => target.closest('input:not([type=checkbox]), select, textarea') !== null;

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (document.getElementById('keys').open) return;
  if (event.key === 'Escape') {
    if (hideTip()) return;
    if (isTyping(event.target)) event.target.blur();
    else if (upOf(location.hash)) location.hash = upOf(location.hash);
    return;
  }
  const own = view.keys[event.key];
  const movesRows = event.key.startsWith('Arrow') && event.target.id === 'query';
  if (isTyping(event.target) && !(movesRows && own)) return;
  const act = own ?? COMMON[event.key];
  if (!act || act(event) === false) return;
  event.preventDefault();
}

const COMMON = {
  '/': () => {
    const query = document.getElementById('query');
    query.focus();
    query.select();
  },
  '?': openHelp,
  't': () => nextScheme(),
};

// Light, dark, or the system's; remembered where the browser lets a page from disk remember.
const SCHEMES = {system: '◐', light: '☀', dark: '☾'};
const remembered = {
  get(key) {
    try {
      return localStorage.getItem(`featflow.${key}`);
    } catch {
      return null;
    }
  },
  set(key, value) {
    try {
      localStorage.setItem(`featflow.${key}`, value);
    } catch { /* the choice holds until the page is closed */ }
  },
};

function dress(scheme) {
  const button = document.getElementById('scheme');
  document.documentElement.dataset.scheme = scheme;
  button.textContent = SCHEMES[scheme];
  button.setAttribute('aria-label', `Colours: ${scheme}`);
  button.title = `Colours: ${scheme} (t)`;
}

function nextScheme() {
  const names = Object.keys(SCHEMES);
  const now = names.indexOf(document.documentElement.dataset.scheme);
  const scheme = names[(now + 1) % names.length];
  dress(scheme);
  remembered.set('scheme', scheme);
}

function storedScheme() {
  const scheme = remembered.get('scheme');
  return Object.hasOwn(SCHEMES, scheme) ? scheme : 'system';
}
