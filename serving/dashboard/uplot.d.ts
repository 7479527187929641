/** `/assets/uplot.js` is uPlot's own module, served as it is; these are its types. */
import uPlot from 'uplot'

// oxlint-disable-next-line import/no-default-export -- the module has no other export
export { uPlot as default }
