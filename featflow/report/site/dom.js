'use strict';

// Elements are built of nodes and text only; nothing is ever parsed as HTML.
const SVG = 'http://www.w3.org/2000/svg';
const UNKNOWN = '–';

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'vars') {
      for (const [key, one] of Object.entries(value)) element.style.setProperty(key, one);
    } else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...children.flat(3).filter(child => child !== null && child !== undefined));
  return element;
}

const el = (tag, attributes, ...children) =>
  fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const missing = value => value === null || value === undefined || Number.isNaN(value);
const whole = value => (missing(value) ? UNKNOWN : Math.round(value).toLocaleString('en'));
const fixed = (value, digits = 2) => (missing(value) ? UNKNOWN : value.toFixed(digits));

// Three significant digits, without an exponent where one can read it without.
function small(value) {
  if (missing(value)) return UNKNOWN;
  if (value === 0) return '0';
  const size = Math.abs(value);
  if (size >= 1000) return whole(value);
  if (size >= 0.001) return String(Number(value.toPrecision(3)));
  return value.toExponential(1).replace('e-', 'e−');
}

function percent(share, digits = 0) {
  return missing(share) ? UNKNOWN : `${(100 * share).toFixed(digits)}\u202f%`;
}

function density(value) {
  if (missing(value)) return UNKNOWN;
  const said = value === 0 ? '0' : value >= 0.995 ? '100' : (100 * value).toPrecision(2);
  return `${said.replace('e-', 'e−')}\u202f%`;
}

const plural = (count, one, many = `${one}s`) => `${whole(count)} ${count === 1 ? one : many}`;

// A bar of a density: a decade is a fifth of it, from one in a hundred thousand.
function densityBar(value) {
  const part = value > 0 ? Math.min(Math.max((Math.log10(value) + 5) / 5, 0.02), 1) : 0;
  return el('span', {class: 'logbar', 'aria-hidden': 'true', vars: {'--decades': part.toFixed(3)}});
}

function notice(title, ...lines) {
  return el('section', {class: 'notice'}, el('h1', {tabindex: -1}, title),
    lines.map(line => (line instanceof Node ? line : el('p', {}, line))));
}
