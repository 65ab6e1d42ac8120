/** Follows a list from page to page. One that goes in circles, or that brings nothing on and on, would be read for ever. */

/** Pages without an item, one after the other. */
const MOST_EMPTY = 100;

/** The markers of one list. It finds circles of any length by keeping one marker alone (Brent's algorithm). */
export class PageMarkers {
  #kept: string | undefined;
  #steps = 0;
  #until = 1;
  #empty = 0;

  /** Whether the list goes on with `marker`, after a page of so many items. */
  goesOn(marker: string | undefined, items: number): marker is string {
    this.#empty = items > 0 ? 0 : this.#empty + 1;
    if (marker === undefined || marker === this.#kept || this.#empty > MOST_EMPTY) return false;
    this.#steps += 1;
    if (this.#steps === this.#until) {
      this.#kept = marker;
      this.#until *= 2;
      this.#steps = 0;
    }
    return true;
  }
}
