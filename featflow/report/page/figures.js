'use strict';

// Figures are drawn when they come near, in the reader's colour scheme; for paper all, in light.
const parsed = id => JSON.parse(document.getElementById(id).textContent);
const {config, templates} = parsed('look');
const plots = [...document.querySelectorAll('.plot')];
const dark = matchMedia('(prefers-color-scheme: dark)'), narrow = matchMedia('(max-width: 640px)');
const PAPER = 680; // pixels of a page's width

function template(scheme) {
  const found = structuredClone(templates[scheme]);
  if (narrow.matches) found.layout.font.size = 10;
  return found;
}

const current = () => template(dark.matches ? 'dark' : 'light');
const isDrawn = plot => plot.classList.contains('js-plotly-plot');

function draw(plot) {
  if (isDrawn(plot)) return;
  const {data, layout} = parsed(plot.dataset.plot);
  Plotly.newPlot(plot, data, {...layout, template: current()}, config);
}

const near = new IntersectionObserver(entries => {
  for (const entry of entries) {
    if (!entry.isIntersecting) continue;
    near.unobserve(entry.target);
    draw(entry.target);
  }
}, {rootMargin: '800px'});
for (const plot of plots) near.observe(plot);

for (const query of [dark, narrow]) {
  query.addEventListener('change', () => {
    for (const plot of plots.filter(isDrawn)) Plotly.relayout(plot, {template: current()});
  });
}
addEventListener('beforeprint', () => {
  plots.forEach(draw);
  for (const plot of plots) Plotly.relayout(plot, {template: template('light'), width: PAPER});
});
addEventListener('afterprint', () => {
  for (const plot of plots) Plotly.relayout(plot, {template: current(), autosize: true, width: null});
});
