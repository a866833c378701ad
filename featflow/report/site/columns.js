'use strict';

// The columns of a feature table: what each sorts by, and what its cells show.
const FATES = {
  persisting: ['●', 'persists'], disappearing: ['○', 'disappears'], emerging: ['✦', 'emerges'],
  rare: ['◌', 'rare'], silent: ['–', 'silent'],
};
const STRATA = ['contextual', 'between', 'lookup', 'unknown'];

const fateNames = index => index.fate_names ?? Object.keys(FATES);
const strataOf = index => index.strata ?? STRATA;

// What became of a feature on an edge; the word for a child's that persists is another.
function fateWord(name, role) {
  const [sign, word] = FATES[name] ?? ['', name];
  return [sign, name === 'persisting' && role === 'child' ? 'traced' : word];
}

function fateMark(name, role) {
  const [sign, word] = fateWord(name, role);
  return el('span', {class: `fate ${name}`}, el('span', {'aria-hidden': 'true'}, `${sign} `), word);
}

const edgeName = ({role, other}) => (role === 'parent' ? `→ ${other}` : `${other} →`);
const wide = (name, least) => Math.max(least, 30 + 8 * name.length);
const densities = value => el('span', {class: 'densities'}, densityBar(value), density(value));
const fatesKey = ({edge, role}) => `${edge}:${role}`;

// {key, name, title, text, width, value(i), cell(i)}; a value of null is sorted last.
function columnsOf(index, sae, {edge, role, other}) {
  const c = index.columns, {model, vocabulary} = index, names = fateNames(index);
  const strata = strataOf(index);
  const number = (key, name, title, width, say) => c[key] && {
    key, name, title, width, value: i => c[key][i], cell: i => say(c[key][i])};
  const fates = edgesOf(sae, model).filter(one => c.fates?.[fatesKey(one)] &&
    (!edge || (one.edge === edge && one.role === role)));
  return [
    {key: 'feature', name: 'feature', title: 'number of the feature', isLeft: true,
      width: 100, value: i => i,
      cell: i => el('a', {href: href([sae, model, i])}, String(i))},
    {key: 'token', name: 'top token', text: true, width: 150,
      title: 'the token with the largest sum of activations',
      value: i => (missing(c.token[i]) ? null : textOf(vocabulary, c.token[i])),
      cell: i => token(vocabulary, c.token[i])},
    {...number('density', 'density', 'share of probe tokens on which it fires', 152,
      densities)},
    number('max', 'max', 'its largest activation', 80, small),
    {...number('lookup_r', 'look-up r', 'how well its token alone predicts it; above 0.8 it is a ' +
      'token look-up, up to 0.5 contextual', 96, value => fixed(value))},
    c.stratum && {key: 'stratum', name: 'kind', text: true, width: 104,
      title: 'look-up, contextual or between, by its look-up r',
      value: i => strata[c.stratum[i]], cell: i => strata[c.stratum[i]] ?? UNKNOWN},
    ...fates.map(one => ({
      key: `fate:${fatesKey(one)}`, name: edgeName(one), text: true,
      width: wide(edgeName(one), 122),
      title: one.role === 'parent' ? `does it persist in ${one.other}, its child?`
        : `is it traced to any parent? (edge from ${one.other})`,
      value: i => names[c.fates[fatesKey(one)][i]],
      cell: i => fateMark(names[c.fates[fatesKey(one)][i]], one.role)})),
    ...(other ? partnerColumns(c, sae, other) : []),
    ...(c.explanation?.some(text => !missing(text)) ? toldColumns(c, number) : []),
  ].filter(column => column?.key);
}

const toldColumns = (c, number) => [
  number('score', 'score', 'Pearson’s r of the activations that are simulated from the ' +
    'explanation', 76, value => fixed(value)),
  c.explanation && {key: 'explanation', name: 'explanation', text: true, width: 340,
    title: 'what it is said to fire on', value: i => c.explanation[i],
    cell: i => (missing(c.explanation[i]) ? UNKNOWN : words(c.explanation[i]))},
];

function partnerColumns(c, sae, other) {
  if (!c.partners?.[other]) return [];
  const partner = i => c.partners[other][i];
  return [
    {key: 'partner', name: `in ${other}`, width: wide(`in ${other}`, 96), value: partner,
      title: `its best partner in ${other}, by Pearson’s r`,
      cell: i => (missing(partner(i)) ? UNKNOWN
        : el('a', {href: href([sae, other, partner(i)])}, String(partner(i))))},
    {key: 'r', name: 'r', title: `Pearson’s r with its best partner in ${other}`, width: 66,
      value: i => c.r[other][i], cell: i => fixed(c.r[other][i])},
  ];
}

// In the place of an edge: all that lead to children. (No edge has this name: it has no hyphen.)
const EVERY = 'every';

// Which features the filters leave, in order.
function chosen(index, query) {
  const c = index.columns, tests = [];
  const number = key => (query[key] === undefined || query[key] === '' ? NaN : Number(query[key]));
  const fit = query.q ? finder(index, query.q) : null;
  if (fit) tests.push(i => fit(i) > 0);
  const fates = c.fates?.[`${query.edge}:${query.role}`];
  if (query.fate && fates) {
    const code = fateNames(index).indexOf(query.fate);
    tests.push(i => fates[i] === code);
  } else if (query.fate === 'disappearing' && query.edge === EVERY) {
    const [gone, kept] = ['disappearing', 'persisting'].map(one => fateNames(index).indexOf(one));
    const down = Object.keys(c.fates ?? {}).filter(key => key.endsWith(':parent'))
      .map(key => c.fates[key]);
    tests.push(i => down.some(one => one[i] === gone) && !down.some(one => one[i] === kept));
  }
  if (query.stratum) {
    const code = strataOf(index).indexOf(query.stratum);
    tests.push(i => c.stratum[i] === code);
  }
  if (query.category) tests.push(i => c.category?.[i] === query.category);
  for (const [key, column, keeps] of [
    ['dmin', c.density, (value, bound) => value >= bound],
    ['dmax', c.density, (value, bound) => value <= bound],
    ['score', c.score, (value, bound) => value >= bound]]) {
    const bound = number(key);
    if (!Number.isNaN(bound)) {
      tests.push(i => !missing(column?.[i]) && keeps(column[i], bound));
    }
  }
  const found = [];
  for (let i = 0; i < index.features; i++) if (tests.every(test => test(i))) found.push(i);
  return found;
}

function sorted(order, column, isDown) {
  const keys = new Map(order.map(i => [i, column.value(i)])), sign = isDown ? -1 : 1;
  const collator = new Intl.Collator('en');
  const compare = column.text ? collator.compare : (a, b) => a - b;
  return order.sort((a, b) => {
    const x = keys.get(a), y = keys.get(b), [noX, noY] = [missing(x), missing(y)];
    return noX || noY ? noX - noY || a - b : sign * compare(x, y) || a - b;
  });
}
