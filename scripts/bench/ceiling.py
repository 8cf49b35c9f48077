"""Whether a believable change of a row exists at all: a perceptron with two hidden layers as a mixed-integer program, solved
exactly over the box, the ranges of the training rows, and the rules declared and learned. What is proved impossible no attack
can turn."""

import numpy as np


def learned(train):
    """Columns that never exceed another, as `evasion-table-climb` learns them."""
    low, high = train.min(0), train.max(0)
    width, count, orders = high - low, len(train), []
    for a in range(train.shape[1]):
        for b in range(train.shape[1]):
            overlap = min(high[a], high[b]) - max(low[a], low[b])
            if a == b or overlap < 0.5 * min(width[a], width[b]) or not (train[:, a] <= train[:, b]).all():
                continue
            if 20 * (train[:, a] > np.roll(train[:, b], -(count // 2))).sum() >= count:
                orders.append((a, b))
    return orders


def rules(declared, orders, columns):
    """The rules as rows of A x <= b."""
    left, right = [], []
    for rule in declared:
        row = np.zeros(columns)
        for name, factor in rule["terms"]:
            row[int(name[1:])] += factor
        left.append(row)
        right.append(rule["bound"])
    for a, b in orders:
        row = np.zeros(columns)
        row[a], row[b] = 1, -1
        left.append(row)
        right.append(0.0)
    return np.array(left), np.array(right)


def best_margin(weights, x, low, high, left, right, seconds):
    """The largest margin towards the other class: reached, and the bound that is proved."""
    from scipy.optimize import Bounds, LinearConstraint, linprog, milp

    first, first_bias, second, second_bias, last, last_bias = weights
    hidden = np.maximum(second @ np.maximum(first @ x + first_bias, 0) + second_bias, 0)
    own = int(np.argmax(last @ hidden + last_bias))
    toward, constant = last[1 - own] - last[own], last_bias[1 - own] - last_bias[own]
    columns, one, two = len(x), len(first_bias), len(second_bias)
    h1, d1 = columns, columns + one
    h2, d2 = columns + 2 * one, columns + 2 * one + two
    total = d2 + two
    rows, least, most = [np.r_[row, np.zeros(total - columns)] for row in left], [-np.inf] * len(left), list(right)
    floor, roof, whole = np.r_[low, np.zeros(total - columns)], np.r_[high, np.zeros(total - columns)], np.zeros(total)

    def extremes(directions, at):
        """Least and most of each linear form over what is known so far."""
        table, below, above = np.array(rows).reshape(-1, total), np.array(least), np.array(most)
        upper = np.vstack([table[np.isfinite(above)], -table[np.isfinite(below)]])
        bound = np.r_[above[np.isfinite(above)], -below[np.isfinite(below)]]
        found = np.zeros((2, len(directions)))
        for unit, direction in enumerate(directions):
            goal = np.zeros(total)
            goal[at : at + len(direction)] = direction
            for side, sign in enumerate((1, -1)):
                solved = linprog(sign * goal, A_ub=upper, b_ub=bound, bounds=np.c_[floor, roof], method="highs")
                found[side, unit] = sign * solved.fun - sign * 1e-9
        return found

    def layer(matrix, bias, at, h, d):
        bottom, top = extremes(matrix, at) + bias
        for unit in range(len(bias)):
            before = np.zeros(total)
            before[at : at + matrix.shape[1]] = matrix[unit]
            roof[h + unit] = max(top[unit], 0)
            if top[unit] <= 0:
                continue
            over = -before
            over[h + unit] = 1
            rows.append(over)
            least.append(bias[unit])
            if bottom[unit] >= 0:
                most.append(bias[unit])
                continue
            most.append(np.inf)
            roof[d + unit], whole[d + unit] = 1, 1
            off = over.copy()
            off[d + unit] = -bottom[unit]
            rows.append(off)
            least.append(-np.inf)
            most.append(bias[unit] - bottom[unit])
            on = np.zeros(total)
            on[h + unit], on[d + unit] = 1, -top[unit]
            rows.append(on)
            least.append(-np.inf)
            most.append(0)

    layer(first, first_bias, 0, h1, d1)
    layer(second, second_bias, h1, h2, d2)
    goal = np.zeros(total)
    goal[h2 : h2 + two] = -toward
    solved = milp(goal, constraints=LinearConstraint(np.array(rows), least, most), integrality=whole, bounds=Bounds(floor, roof), options={"time_limit": seconds})
    reached = -np.inf if solved.x is None else constant - solved.fun
    proved = np.inf if solved.mip_dual_bound is None else constant - solved.mip_dual_bound
    return reached, proved


def impossible(folder, weights, declared, epsilon, missed, seconds=60):
    """How many of these held-out rows are proved to have no believable change within `epsilon`, how many have one, and how
    many stayed open."""
    rows = [np.loadtxt(folder / name, delimiter=",", skiprows=1).astype(np.float32)[:, :-1] for name in ("train.csv", "test.csv")]
    train, test = rows
    low, high = train.min(0).astype(float), train.max(0).astype(float)
    left, right = rules(declared, learned(train), train.shape[1])
    none = some = 0
    for row in missed:
        x = test[row].astype(float)
        bottom = np.maximum(x - epsilon * (high - low), np.minimum(low, x))
        top = np.minimum(x + epsilon * (high - low), np.maximum(high, x))
        held = left @ x <= right + 1e-6
        reached, proved = best_margin(weights, x, bottom, top, left[held], right[held], seconds)
        some += reached > 0
        none += proved <= 0
    return none, some, len(missed) - none - some
