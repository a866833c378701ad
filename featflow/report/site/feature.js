'use strict';

// The page of a feature.
async function featureView(sae, model, id, query) {
  const index = await dictionary(model, sae);
  if (id >= index.features) {
    return {title: 'No such feature', node: notice('No such feature',
      `${model} has the features 0 to ${whole(index.features - 1)}.`)};
  }
  const feature = await featureOf(index, id), kept = Object.fromEntries(query);
  const {before, after, place} = neighbours(index, id);
  const to = other => (missing(other) ? null : href([sae, model, other], kept));
  const go = other => () => (missing(other) ? false : (location.hash = to(other), true));
  const beside = besideOf(sae, model, feature, query.get('with'));
  const shownContexts = new Contexts(index, sae, feature, beside);
  const sideways = step => event => (event.target.closest('.scroll, .table') ? false : step());
  const node = el('article', {class: 'feature'},
    el('header', {class: 'head'},
      el('p', {class: 'over'}, el('a', {href: href([sae, model])}, model), ` · SAE ${sae}`),
      el('h1', {tabindex: -1}, `Feature ${id}`, ' ',
        token(index.vocabulary, index.columns.token[id])),
      steps(to(before), to(after), place)),
    numbers(index, id), told(index, id, feature), cards(index, id, feature),
    lineage(index, sae, id, feature), shownContexts.node);
  return {
    title: `${model} ${id}`, node,
    keys: {
      j: go(after), k: go(before),
      ArrowRight: sideways(go(after)), ArrowLeft: sideways(go(before)),
      v: () => shownContexts.toggle('numbers'), l: () => shownContexts.toggle('lines'),
    },
  };
}

function steps(before, after, place) {
  const step = (to, name, key) => (to ? el('a', {href: to, 'aria-keyshortcuts': key}, name)
    : el('span', {class: 'quiet'}, name));
  return el('nav', {class: 'steps', 'aria-label': 'Neighbours'},
    step(before, '← previous', 'k'), place ? el('span', {class: 'quiet'}, place) : null,
    step(after, 'next →', 'j'));
}

function numbers(index, id) {
  const c = index.columns, density_ = c.density[id], kind = strataOf(index)[c.stratum?.[id]];
  const facts = [
    ['density', [densityBar(density_), density(density_)]],
    ['max', small(c.max?.[id])],
    ['mean', small(c.mean?.[id])],
    ['documents', whole(c.documents?.[id])],
    ['look-up r', [fixed(c.lookup_r?.[id]), kind && kind !== 'unknown' ? ` ${kind}` : '']],
    ['category', c.category?.[id] && words(c.category[id])],
  ].filter(([, value]) => !missing(value));
  return el('dl', {class: 'facts'}, facts.map(([name, value]) =>
    el('div', {}, el('dt', {}, name), el('dd', {}, value))));
}

// Explanations and their scores; a failure is said, and is no score.
function told(index, id, {scores}) {
  const rows = scores?.length ? scores : missing(index.columns.explanation?.[id]) ? []
    : [{explanation: index.columns.explanation[id], pearson: index.columns.score?.[id]}];
  if (!rows.length) return null;
  const isBad = row => row.status && row.status !== 'ok';
  return el('section', {'aria-label': 'Explanations'}, plainTable('Explanations',
    [['explanation', true], ['by', true], ['Pearson'], ['Spearman'], ['detection'], ['fuzzing']],
    rows.map(row => [
      el('span', {class: 'told', dir: 'auto'}, missing(row.explanation) ? UNKNOWN
        : words(row.explanation),
      isBad(row) ? el('span', {class: 'quiet'}, ' ', words(String(row.status)),
        row.reason ? [': ', words(row.reason)] : '') : null),
      missing(row.explainer) ? UNKNOWN : words(row.explainer),
      fixed(row.pearson), fixed(row.spearman), fixed(row.detection), fixed(row.fuzzing)])));
}

function cards(index, id, feature) {
  const {vocabulary} = index, card = (title, unit, inside) => inside &&
    el('section', {class: 'card'}, el('h2', {}, title, el('span', {class: 'quiet'}, ` ${unit}`)),
      inside);
  const list = (pairs, say) => (pairs?.length ? el('ol', {class: 'tokens'}, pairs.map(pair =>
    el('li', {}, token(vocabulary, pair[0]), el('span', {class: 'value'}, say(pair))))) : null);
  const signed = ([, value]) => (value < 0 ? `−${small(-value)}` : `+${small(value)}`);
  return el('div', {class: 'cards'}, [
    card('Typical tokens', 'mean × firings', list(feature.tokens, ([, mean, firings]) =>
      [small(mean), el('span', {class: 'quiet'}, ` × ${whole(firings)}`)])),
    card('Promotes', 'logit', list(feature.promoted, signed)),
    card('Suppresses', 'logit', list(feature.suppressed, signed)),
    card('Activations', 'firings', histogram(feature.histogram)),
  ].filter(Boolean));
}
