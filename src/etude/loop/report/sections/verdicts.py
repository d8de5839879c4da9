"""The answer at the top of a page, and the small badges beside results."""

from etude.loop.report.drawing.markup import Html, tag


def verdict_box(tone: str, headline: str, *sentences: str) -> Html:
    """One sentence in large letters, the others below it.

    Args:
        tone: "better", "worse" or "unclear".
        headline: The answer.
        sentences: What stands behind it.
    """
    lines = tag("ul", *(tag("li", sentence) for sentence in sentences)) if sentences else Html("")
    return tag("section", tag("p", headline, class_="headline"), lines, class_=f"verdict {tone}")


def badge(text: str, tone: str = "") -> Html:
    """A word in a small frame, in the colour of its tone: "good", "bad", or none."""
    return tag("span", text, class_=f"badge {tone}".strip())
