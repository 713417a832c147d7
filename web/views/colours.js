// The colours of what is drawn on canvas, as the style sheet has them for the theme.

const SERIES = 8;

export class Colours {
  constructor() {
    this.quiet = "";
    this.line = "";
    this.ink = "";
    this.panel = "";
    this.lost = "";
    this.font = "";
    /** How much larger than usual everything is: a wall screen is read from afar. */
    this.scale = 1;
    /** @type {string[]} */
    this.series = [];
    this.read();
  }

  /** Call it when the theme has changed. */
  read() {
    const style = getComputedStyle(document.documentElement);
    const of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
    this.scale = parseFloat(style.fontSize) / 16 || 1;
    this.font = `${11 * this.scale}px system-ui, sans-serif`;
    this.quiet = of("--quiet");
    this.line = of("--line");
    this.ink = of("--ink");
    this.panel = of("--panel");
    this.lost = `${of("--bad")}40`;
    this.series = Array.from({ length: SERIES }, (_, index) => of(`--series-${index}`));
  }

  /** @param {number} index */
  of(index) {
    return this.series[index % SERIES] ?? this.ink;
  }

  /** A ground for a state that ink can be read on. @param {number} value */
  state(value) {
    return value === value ? `${this.of(Math.abs(Math.trunc(value)))}5c` : "transparent";
  }
}
