"""Why a sample is flagged, as a person finds out: in Review for the sample, in Dossier for the set."""

from tests.made_run import TARGET


def test_from_a_sample_to_the_whole_set(made, serve, open_page, review, expect):
    made(samples=60, layers=4, heads=2, side=6)
    page = review(open_page(serve()))
    why = page.part("why")
    expect(why.get_by_alt_text(f"Suspected spot of {page.sample}")).to_be_visible()
    expect(why.get_by_alt_text("Mean of the suspected spots")).to_be_visible()
    expect(why).to_contain_text("6 of 6 flagged samples")
    page.page.keyboard.press("j")
    expect(why.get_by_alt_text(f"Suspected spot of {page.sample}")).to_be_visible()
    why.get_by_role("button", name="Open the dossier").click()
    told = page.page.locator("#dossier-told")
    expect(told).to_contain_text(f'Flagged samples answer "{TARGET}"')
    expect(told.locator(".why-crops img")).to_have_count(6)
    expect(page.page.locator("#dossier-check")).to_be_enabled()
    box = told.bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 1280
