"""Boxes in pixels."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of its picture; right and bottom are exclusive."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def area(self) -> float:
        return max(0.0, self.width) * max(0.0, self.height)

    @property
    def centre(self) -> tuple[float, float]:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def overlap(self, other: "Box") -> float:
        """Intersection over union, 0 to 1.

        >>> Box(0, 0, 2, 2).overlap(Box(1, 0, 3, 2))
        0.3333333333333333
        """
        common = self.clipped(other).area
        union = self.area + other.area - common
        return common / union if union > 0 else 0.0

    def clipped(self, to: "Box") -> "Box":
        """The part inside *to*; its area is 0 where there is none."""
        left, top = max(self.left, to.left), max(self.top, to.top)
        return Box(
            left, top, max(left, min(self.right, to.right)), max(top, min(self.bottom, to.bottom))
        )

    def grown(self, by: float) -> "Box":
        """Every side moved outward by *by* times the box's own size."""
        dx, dy = self.width * by, self.height * by
        return Box(self.left - dx, self.top - dy, self.right + dx, self.bottom + dy)

    def moved(self, dx: float, dy: float) -> "Box":
        return Box(self.left + dx, self.top + dy, self.right + dx, self.bottom + dy)

    def scaled(self, x: float, y: float) -> "Box":
        return Box(self.left * x, self.top * y, self.right * x, self.bottom * y)

    def rounded(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom as whole pixels."""
        return round(self.left), round(self.top), round(self.right), round(self.bottom)
