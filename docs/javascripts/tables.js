// A box that scrolls must be reachable by the keyboard; the theme wraps tables only after the page is there.
document$.subscribe(() => {
  const reach = () => document.querySelectorAll(".md-typeset__scrollwrap").forEach((box) => { box.tabIndex = 0; });
  new MutationObserver(reach).observe(document.querySelector(".md-content"), { childList: true, subtree: true });
  reach();
});
