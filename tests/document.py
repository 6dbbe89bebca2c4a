"""Documents that a program writes a part of: between <!-- NAME: begin --> and <!-- NAME: end -->."""


def row(cells):
    return "| " + " | ".join(map(str, cells)) + " |\n"


def head(names):
    return row(names) + row(["---"] * len(names))


class Part:
    def __init__(self, path, name):
        self.path = path
        self.begin, self.end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
        with open(path) as f:
            self.before, rest = f.read().split(self.begin)
        self.text, self.after = rest.split(self.end)

    def write(self, text):
        with open(self.path, "w") as f:
            f.write(self.before + self.begin + text + self.end + self.after)
