"""Filling a form in one go: one script in the page instead of Playwright's care before every field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from casehand.exceptions import SystemException

if TYPE_CHECKING:
    from playwright.sync_api import Locator

Value = str | bool
"""What a field is given: a text, the value or label of a choice, or whether a box is ticked."""

FILL = """
(form, wanted) => {
  const tidy = text => (text || '').replace(/\\s+/g, ' ').trim().replace(/ ?[:*]+$/, '');
  // A label may stand around its field, whose choices are no part of its words.
  const words = label => {
    const copy = label.cloneNode(true);
    copy.querySelectorAll('select, textarea').forEach(inner => inner.remove());
    return tidy(copy.textContent);
  };
  const names = field => [field.name, field.id, tidy(field.ariaLabel),
                          ...[...(field.labels || [])].map(words)];
  const isRadio = field => field.type === 'radio';
  const isShown = field => field.type !== 'hidden' && field.checkVisibility({visibilityProperty: true});
  const tell = (field, ...kinds) => kinds.forEach(kind => field.dispatchEvent(new Event(kind, {bubbles: true})));

  const setText = (field, value) => {
    if (field.maxLength >= 0 && value.length > field.maxLength) return 'takes less than it was given';
    // A page's framework may watch the property of the element itself; the prototype's is what typing changes.
    const own = Object.getPrototypeOf(field);
    Object.getOwnPropertyDescriptor(own, 'value').set.call(field, value);
    if (field.value.replace(/\\r?\\n/g, '\\n') !== value.replace(/\\r?\\n/g, '\\n')) {
      return 'does not take what it was given';
    }
    tell(field, 'input', 'change');
  };
  const setChoice = (list, value) => {
    const options = [...list.options].filter(option => option.value === value);
    const fitting = options.length ? options : [...list.options].filter(option => tidy(option.label) === value);
    if (fitting.length !== 1) return fitting.length ? 'has several such choices' : 'has no such choice';
    if (fitting[0].matches(':disabled')) return 'has that choice disabled';
    if (list.multiple) return 'takes several choices at once';
    list.selectedIndex = fitting[0].index;
    tell(list, 'input', 'change');
  };
  const setTick = (box, ticked) => {
    if (box.checked !== ticked) box.click();
    if (box.checked !== ticked) return 'does not take what it was given';
  };
  const setOneOf = (buttons, value) => {
    const byValue = buttons.filter(button => button.value === value);
    const fitting = byValue.length ? byValue : buttons.filter(button => names(button).slice(2).includes(value));
    if (fitting.length !== 1) return fitting.length ? 'has several such choices' : 'has no such choice';
    return why(fitting[0]) || setTick(fitting[0], true);
  };
  const why = field => {
    if (!isShown(field)) return 'is hidden';
    if (field.matches(':disabled')) return 'is disabled';
    if (field.readOnly) return 'is read-only';
  };

  const fill = (name, value) => {
    const fields = [...form.querySelectorAll('input, select, textarea')].filter(field => names(field).includes(name));
    if (!fields.length) return 'is missing';
    if (fields.every(isRadio) && new Set(fields.map(field => field.name)).size === 1 && typeof value === 'string') {
      return setOneOf(fields, value);
    }
    if (fields.length > 1) return 'is there several times';
    const [field] = fields;
    const refused = why(field);
    if (refused) return refused;
    if (['submit', 'button', 'reset', 'image', 'file'].includes(field.type)) return 'is none to be filled';
    const isTick = ['checkbox', 'radio'].includes(field.type);
    if (isTick !== (typeof value === 'boolean')) return isTick ? 'takes yes or no' : 'takes a text';
    field.focus();
    if (isTick) return setTick(field, value);
    return field.localName === 'select' ? setChoice(field, value) : setText(field, value);
  };

  for (const [name, value] of wanted) {
    const refused = fill(name, value);
    if (refused) return [name, refused];
  }
  return null;
}
"""


def fill(form: Locator, values: Mapping[str, Value]) -> None:
    """Set the form's fields in the order given; raises SystemException that names the first that cannot be."""
    refused = form.evaluate(FILL, [[name, value] for name, value in values.items()])
    if refused is not None:
        name, reason = refused
        raise SystemException(f"the field {name!r} {reason}")
