"""Send one row to a model and print what it says.

    python serving/request.py --model xgboost-model
    python serving/request.py --model xgboost-model --row=-1.0,2.5,3 --json
    python serving/request.py --model bank-model --row=41,technician,,0.5
    python serving/request.py --model bank-model --key KEY

A row is a line of CSV in feature order; nothing between two commas is a missing value. The server
is asked first which features there are, which of them hold categories and which are written in a
notation of their own: --row='"$60,000.00",26-Jan-07,yes'.

Standard library only, so that this file can be copied anywhere. Exits 1 with the server's own
sentence when there is no answer.
"""

import argparse
import csv
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

Value = float | str | None


def main(arguments: list[str] | None = None) -> int:
    """Send the row that the arguments ask for and return the exit code."""
    given = options(arguments)
    root = f"{given.url.rstrip('/')}/v2/models/{urllib.parse.quote(given.model, safe='')}"
    try:
        metadata = _ask(root, given.key)
        row = _example(metadata) if given.row is None else row_values(metadata, given.row)
        inputs = metadata["inputs"]
        if any(isinstance(value, str) for value in row):
            inputs = by_name(metadata, row)
        answer = _ask(f"{root}/infer", given.key, request_body(inputs, row))
    except (OSError, ValueError, csv.Error) as error:
        sys.stderr.write(f"{_sentence(error, given.url)}\n")
        return 1
    sys.stdout.write(f"{json.dumps(answer) if given.json else answer_line(answer)}\n")
    return 0


def row_values(metadata: dict[str, Any], text: str) -> list[Value]:
    """Return the values of a row that is written as a line of CSV, None where there is nothing.

    Raises ValueError when they are not as many as the model has features, or not of their kind.
    """
    stated = metadata["parameters"]
    features, texts = stated["features"], [*stated["categories"], *stated.get("notations", ())]
    cells = next(csv.reader([text]), [])
    if len(cells) != len(features):
        expected = f"{len(features)}: {', '.join(features)}"
        raise ValueError(f"the row has {len(cells)} values and {metadata['name']} takes {expected}")
    return [
        _value(feature, cell, is_text=feature in texts)
        for feature, cell in zip(features, cells, strict=True)
    ]


def by_name(metadata: dict[str, Any], row: list[Value]) -> list[dict[str, Any]]:
    """Return an input a feature, for a row in which some of them are texts."""
    return [
        {"name": feature, "datatype": "BYTES" if isinstance(value, str) else "FP64", "shape": [-1]}
        for feature, value in zip(metadata["parameters"]["features"], row, strict=True)
    ]


def request_body(inputs: list[dict[str, Any]], row: list[Value]) -> dict[str, Any]:
    """Return the V2 request for one row in feature order, for a model that takes these inputs."""
    if len(inputs[0]["shape"]) > 1:
        return {"inputs": [inputs[0] | {"shape": [1, len(row)], "datatype": "FP64", "data": row}]}
    tensors = [
        tensor | {"shape": [1], "data": [value]} for tensor, value in zip(inputs, row, strict=True)
    ]
    return {"inputs": tensors}


def answer_line(answer: dict[str, Any]) -> str:
    """Return a V2 answer for one row as a line to read."""
    # The class first, where there is one: it is what most people ask for.
    outputs = sorted(answer["outputs"], key=lambda output: output["name"] != "label")
    values = {output["name"]: output["data"][0] for output in outputs}
    stated = _listed(answer.get("parameters", {}))
    line = f"{answer['model_name']} version {answer['model_version']}: {_listed(values)}"
    return f"{line} ({stated})" if stated else line


def _listed(values: dict[str, Any]) -> str:
    """Return values with their names, fractions to four places."""
    return ", ".join(
        f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def options(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the arguments; None takes those of the process."""
    parser = argparse.ArgumentParser(description="Send one row to a served model.")
    parser.add_argument("--model", required=True, help="the model's name")
    parser.add_argument("--url", default="http://127.0.0.1:8090", help="where the server answers")
    parser.add_argument(
        "--row",
        help="values in feature order, as in --row=-1,2.5,red,; default: an example row",
    )
    parser.add_argument("--key", help="an API key of the server, where it asks for one")
    parser.add_argument("--json", action="store_true", help="print the answer as it came")
    return parser.parse_args(arguments)


def _value(feature: str, cell: str, *, is_text: bool) -> Value:
    if not cell:
        return None
    if is_text:
        return cell
    try:
        return float(cell)
    except ValueError as error:
        raise ValueError(f"{feature} is a number and '{cell}' is none") from error


def _example(metadata: dict[str, Any]) -> list[Value]:
    row: list[Value] | None = metadata["parameters"]["example"]
    if row is None:
        raise ValueError("the model carries no example row: give one with --row")
    return row


def _ask(url: str, key: str | None, question: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if question is None else json.dumps(question).encode()
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url} is not an address that starts with http:// or https://")
    request = urllib.request.Request(  # noqa: S310 - the scheme was checked just above
        url, data, {"Content-Type": "application/json"} | _authorisation(key)
    )
    # An internet proxy that the machine is set up with does not know the way to a local server.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=30) as answer:
        parsed: dict[str, Any] = json.load(answer)
        return parsed


def _authorisation(key: str | None) -> dict[str, str]:
    if key is None:
        return {}
    # Said here, because what urllib says of such a header prints the key.
    if not (key.isascii() and key.isprintable()):
        raise ValueError("the key holds characters that a key cannot have")
    return {"Authorization": f"Bearer {key}"}


def _sentence(error: Exception, url: str) -> str:
    if isinstance(error, urllib.error.HTTPError):
        try:
            return str(json.load(error)["error"])
        except (ValueError, KeyError, TypeError):
            return f"{url} answered {error.code} {error.reason}: is it a Ratchet server?"
    if isinstance(error, urllib.error.URLError):
        return f"{url} does not answer ({error.reason}): is the server up?"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
