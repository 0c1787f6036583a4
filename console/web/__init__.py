"""The supervisors' web pages: Starlette, Jinja2, GOV.UK Frontend's components, htmx where something moves.

A page is three things; `home.py` and `templates/home.html` are the pattern:

1. A route function in a file named for its family, plain and synchronous (it runs in a thread, over the ledger):

       def show_batch(request: Request) -> Response:
           person, desk = request.state.person, request.state.desk
           ledger = request.app.state.site.ledger
           ...
           return render(request, "batches/show.html", batch=batch)

   and its line in the file's `routes`: `page("/batches/{name}", show_batch, right=Right.SEE_STRUCTURE)`.
   `right` is what a person must have for one workflow at least; which workflow is the function's own to check
   (raise HTTPException(404) for what a person may not know of). What is sent by a form is `request.state.form`,
   read already; `page(..., methods=["POST"], largest=MEGABYTES)` lets more come in, for uploads.
   A POST that succeeded redirects: `return see(request, "show_batch", name=name)`. One that cannot be done
   shows the form again with what was typed, `errors={"reason": "Enter a reason"}` and status 422.
   `app.py` lists the files whose routes there are.

2. A template that extends `base.html` and fills its blocks `title`, `content` and, where needed, `before`
   (breadcrumbs). `parts.html` has the macros: `error_summary`, `pages` (pagination), `column` (a heading that
   sorts), `count`. All that comes out of `{{ }}` is escaped, and control characters and marks that turn
   the direction of writing are made visible; what comes from a case goes through `| data`, which folds it when
   it is long and keeps its direction from its surroundings. Times go through `| when`, `| day` or `| age`.
   Of GOV.UK's components, never give `html` what was not made by a `{% set %}` block.

3. Nothing inline: no script, no style, no `style` attribute (the content security policy refuses them). Styles
   are in `static/console.css`.

A part that changes while one looks is `<div id="…" {{ live("…") }}>…</div>`: it is fetched anew when the ledger
has changed. Never a part in which something is typed. Everything works without JavaScript, by reloading.

Filters, sorting and the page are in the address: `address(request, page=2)` is the present one with a change.
"""
